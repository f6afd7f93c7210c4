"""The schedule: measures how long sets take, and decides which groups have time for one more."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter

from bench.cells.plan import Plan


class Schedule:
    """The schedule of one run, from its first set on.

    A budget and the time of a gate include everything. The time of a profile excludes the
    compilation that fills an empty cache, because that is no reason for fewer sets.
    """

    def __init__(
        self, plan: Plan, now: Callable[[], float], compiled_s: Callable[[], float]
    ) -> None:
        """``now`` is a clock; ``compiled_s`` returns the seconds of compilation until now."""
        self._sets = plan.sets
        self._budget_s, self._extra_s = plan.budget_s, plan.extra_s
        self._counts_all = plan.budget_s is not None or plan.against_base
        self._now = now
        self._compiled_s = compiled_s
        self._began: tuple[float, float] | None = None
        self._took_s: dict[str, float] = {}

    @property
    def budget_left_s(self) -> float | None:
        """Time in which rounds may begin, in seconds; None without a budget."""
        if self._budget_s is None or self._began is None:
            return self._budget_s
        return self._budget_s - (self._now() - self._began[0])

    @property
    def is_over_budget(self) -> bool:
        """Whether the budget is used up, so that no further round may begin."""
        left_s = self.budget_left_s
        return left_s is not None and left_s < 0

    def groups_with_time(self, set_index: int, groups: Iterable[str]) -> frozenset[str]:
        """Return the groups that have time for one more set, or whose planned sets are not done.

        Groups whose sets take longest come first; the time left may be enough for another group.
        """
        end_s = self._counted_s() - self._began[1] if self._began else 0.0
        took_s = {group: self._took_s.get(group, 0.0) for group in groups}
        result = set()
        for group, set_s in sorted(took_s.items(), key=itemgetter(1), reverse=True):
            if set_index < self._sets or end_s + set_s <= self._extra_s:
                result.add(group)
                end_s += set_s
        return frozenset(result)

    @contextmanager
    def measuring(self, group: str, share: float = 1.0) -> Iterator[None]:
        """Time a group's set; the first one starts the schedule.

        The first group of a set also pays for renewing the launchers, which all groups share.
        ``share`` is that of the set among those that are measured together.
        """
        start_s = self._counted_s()
        self._began = self._began or (self._now(), start_s)
        yield
        self._took_s[group] = (self._counted_s() - start_s) * share

    def _counted_s(self) -> float:
        return self._now() - (0.0 if self._counts_all else self._compiled_s())
