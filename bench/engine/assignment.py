"""The assignment of sets and waves to machines: what is measured at the same time, in which order.

Pure: nothing is measured here.
"""

import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.cells.waves import Wave
from bench.engine.tasks import SetTask
from bench.records.events import Split
from bench.records.outcome import Outcome

# Own cells of a wave, chosen. Fewer make the nodes end at the same time, but each wave also
# measures the reference and its control, and imports PyTorch, which takes as long as some cells.
LEAST_CELLS, MOST_CELLS = 8, 14
OVERHEAD_CELLS = 4


def batches(planned_sets: int, *, together: bool) -> Iterator[range]:
    """Yield the indices of sets that can be decided on at the same time.

    Sets that are added for precision depend on those before them.
    """
    if together:
        yield range(planned_sets)
    for index in itertools.count(planned_sets if together else 0):
        yield range(index, index + 1)


def divisions(outcome: Outcome, slots: int) -> Iterator[Split]:
    """Yield a division of each large group of which nothing was measured yet.

    Cells of one mode stay together, because each wave also has the reference's arch in its modes.
    """
    new = {
        group: sorted(waves[0].own, key=lambda cell: cell.mode)
        for group, waves in outcome.waves.items()
        if len(waves) == 1 and group not in outcome.last_set
    }
    size = _best_size([len(own) for own in new.values()], outcome.plan.sets, slots)
    for group, own in new.items():
        count = _waves(len(own), size)
        if count > 1:
            parts = tuple(tuple(cell.id for cell in part) for part in _parts(own, count))
            reason = f"{group}: its cells were measured in {count} waves, on several machines."
            yield Split(group=group, waves=parts, reason=reason)


class TaskQueue:
    """The tasks of several sets, in which each wave is a task of its own.

    The first of a group's sets comes before the others: it shows which cells fail, and how many
    rounds fit into a set.
    """

    def __init__(
        self,
        sets: Mapping[str, Sequence[int]],
        make: Callable[[str, int], SetTask],
        *,
        budget_left_s: Callable[[], float | None] = lambda: None,
        is_in_vain: Callable[[], bool] = lambda: False,
    ) -> None:
        """``sets`` are the indices of the sets by group. ``make`` returns the task of a set.

        No task is next when the budget is used up, or when the first sets of all groups have
        ended and ``is_in_vain``.
        """
        self._make = make
        self._budget_left_s = budget_left_s
        self._is_in_vain = is_in_vain
        self._later = {group: tuple(indices[1:]) for group, indices in sets.items()}
        self._firsts: Counter[str] = Counter()
        self._ready: deque[SetTask] = deque()
        self.undivided: list[tuple[str, int]] = []
        """Sets with a wave that memory does not hold, by group and index."""
        for group, indices in sets.items():
            self._firsts[group] = self._add(group, indices[:1])
        for group in [group for group, count in self._firsts.items() if not count]:
            self._add(group, self._later.pop(group))

    def next(self) -> SetTask | None:
        """Return the next task; None if none is ready, although more may follow."""
        left_s = self._budget_left_s()
        if not self._ready or (left_s is not None and left_s < 0):
            return None
        return msgspec.structs.replace(self._ready.popleft(), budget_left_s=left_s)

    def end(self, task: SetTask, *, is_undivided: bool = False) -> None:
        """Note that a task has ended, which may make others ready."""
        group, index = task.group, task.set_index
        if is_undivided and (group, index) not in self.undivided:
            self.undivided.append((group, index))
        if group not in self._later:
            return
        self._firsts[group] -= 1
        if self._firsts[group]:
            return
        later = self._later.pop(group)
        if not self._later and self._is_in_vain():
            self._ready.clear()
        elif not any(group == name for name, _ in self.undivided):
            self._add(group, later)
        else:
            self.undivided += [(group, each) for each in later]

    def _add(self, group: str, indices: Sequence[int]) -> int:
        """Make the waves of a group's sets ready; return how many there are."""
        parts = [part for index in indices for part in of_waves(self._make(group, index))]
        self._ready.extend(parts)
        return len(parts)


def of_waves(task: SetTask) -> list[SetTask]:
    """Return a task for each wave of a set that is left to measure."""
    indices = range(len(task.waves))
    return [
        msgspec.structs.replace(task, ended=tuple(each for each in indices if each != index))
        for index in indices
        if index not in task.ended and _is_due(task.waves[index], task.cells, is_first=index == 0)
    ]


def _is_due(wave: Wave, cells: Sequence[Cell], *, is_first: bool) -> bool:
    """Whether a wave has cells of its own to measure; the first also has the reference."""
    return not set(cells).isdisjoint((*wave.own, wave.reference) if is_first else wave.own)


def _best_size(own_cells: Sequence[int], sets: int, slots: int) -> int:
    """Return the number of own cells of a wave with which the nodes end earliest."""

    def duration(size: int) -> int:
        tasks = sets * sum(_waves(count, size) for count in own_cells)
        return math.ceil(tasks / slots) * (size + OVERHEAD_CELLS)

    return min(range(MOST_CELLS, LEAST_CELLS - 1, -1), key=duration)


def _waves(own_cells: int, size: int) -> int:
    return max(1, math.ceil(own_cells / size))


def _parts(cells: Sequence[Cell], count: int) -> Iterator[Sequence[Cell]]:
    """Divide cells into consecutive parts whose sizes differ by at most one."""
    ends = [len(cells) * part // count for part in range(count + 1)]
    for start, end in itertools.pairwise(ends):
        yield cells[start:end]
