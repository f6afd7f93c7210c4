"""The schedule: how long a run's sets have taken, and for which groups one more has time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter

from bench.cells.plan import Plan


class Schedule:
    """Of one run, from its first set on.

    A budget, and a gate's time, have everything in them. Of a profile's time filling an empty cache
    is no part: that is no reason for fewer sets.
    """

    def __init__(
        self, plan: Plan, now: Callable[[], float], compiled_s: Callable[[], float]
    ) -> None:
        """``now`` is a clock; ``compiled_s`` are the seconds by now of filling a cache."""
        self._sets = plan.sets
        self._budget_s, self._extra_s = plan.budget_s, plan.extra_s
        self._counts_all = plan.budget_s is not None or plan.against_base
        self._now = now
        self._compiled_s = compiled_s
        self._began: tuple[float, float] | None = None
        self._renewing_s = 0.0
        self._took_s: dict[str, float] = {}

    @property
    def has_begun(self) -> bool:
        """Whether any set has."""
        return self._began is not None

    @property
    def is_over_budget(self) -> bool:
        """Whether no round may begin any more."""
        began_at = self._began[0] if self._began else self._now()
        return self._budget_s is not None and self._now() - began_at > self._budget_s

    def with_time(self, set_index: int, groups: Iterable[str]) -> frozenset[str]:
        """Those of the groups that one more set has time for, or that were asked for one.

        Groups that take longest come first: what they leave may do for another.
        """
        end_s = self._counted_s() - self._began[1] + self._renewing_s if self._began else 0.0
        took_s = {group: self._took_s.get(group, 0.0) for group in groups}
        found = set()
        for group, set_s in sorted(took_s.items(), key=itemgetter(1), reverse=True):
            if set_index < self._sets or end_s + set_s <= self._extra_s:
                found.add(group)
                end_s += set_s
        return frozenset(found)

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Time what comes before a set, for all groups together."""
        start = self._now()
        yield
        self._renewing_s = self._now() - start

    @contextmanager
    def measuring(self, group: str) -> Iterator[None]:
        """Time a group's set, of which the first begins the schedule."""
        start_s = self._counted_s()
        self._began = self._began or (self._now(), start_s)
        yield
        self._took_s[group] = self._counted_s() - start_s

    def _counted_s(self) -> float:
        return self._now() - (0.0 if self._counts_all else self._compiled_s())
