"""Waves: which cells are alive together. Every ratio that is shown is taken inside a wave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bench.cell import Cell


def reference(group: Sequence[Cell], arch: str, mode: str) -> Cell:
    """The cell of a group that ratios are taken to: of this arch and mode where they are there."""
    return min(group, key=lambda cell: (cell.arch != arch, cell.mode != mode))


def control(of: Cell) -> Cell:
    """The reference once more, as a cell of its own."""
    return replace(of, control=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Cells to be measured, and those of their group that they are compared with."""

    own: tuple[Cell, ...]
    """Each cell of a group but the reference is one wave's own."""
    group: tuple[Cell, ...]
    reference: Cell

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The reference, its control, and the own cells mode by mode, the reference's arch first.

        In this order workers start, so that wherever it is cut off each has its comparison.
        """
        found = [self.reference, control(self.reference)]
        for mode in dict.fromkeys(cell.mode for cell in self.own):
            same_mode = [cell for cell in self.group if cell.mode == mode]
            found += [cell for cell in same_mode if cell.arch == self.reference.arch]
            found += [cell for cell in self.own if cell.mode == mode]
        return tuple(dict.fromkeys(found))

    @property
    def least(self) -> int:
        """How many of ``cells`` must be alive at once: up to the first own one."""
        if not self.own:
            return len(self.cells)
        return 1 + min(map(self.cells.index, self.own))

    def without(self, apart: Collection[Cell]) -> tuple["Wave", ...]:
        """The wave in two, the cells ``apart`` being the second's own; in halves if that can't be.

        Just this wave comes back where it is as small as can be.
        """
        moved = [cell for cell in self.own if cell in apart]
        if not moved or len(moved) == len(self.own):
            moved = list(self.own[(len(self.own) + 1) // 2 :])
        kept = [cell for cell in self.own if cell not in moved]
        return tuple(replace(self, own=tuple(own)) for own in (kept, moved) if own) or (self,)


def whole(group: Sequence[Cell], to: Cell) -> Wave:
    """The wave of a whole group, whose reference is ``to``."""
    return Wave(own=tuple(cell for cell in group if cell != to), group=tuple(group), reference=to)
