"""Waves: which cells are alive together.

Every ratio to the reference is taken inside a wave; cells of two waves are compared through it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bench.cells.cell import Cell


def reference(group: Sequence[Cell], arch: str, mode: str) -> Cell:
    """The cell of a group that ratios are taken to: of this arch and mode where they are there."""
    return min(group, key=lambda cell: (cell.arch != arch, cell.mode != mode))


def control(of: Cell) -> Cell:
    """The reference once more, as a cell of its own."""
    return replace(of, control=True)


def base(of: Cell) -> Cell:
    """The same cell of the base."""
    return replace(of, base=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Cells to be measured, and those of their group that they are compared with."""

    own: tuple[Cell, ...]
    """Each cell of a group but the reference is one wave's own."""
    group: tuple[Cell, ...]
    reference: Cell
    against_base: bool = False
    """Whether each cell, but for the control, is compared with the base's besides."""

    @property
    def anchors(self) -> tuple[Cell, ...]:
        """The cells that are in each wave: the reference, its control, and its base."""
        return (*self._and_base(self.reference), control(self.reference))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The anchors, and the own cells mode by mode, the reference's arch first.

        In this order workers start, so that wherever it is cut off each has its comparison.
        """
        found: list[Cell] = []
        for mode in dict.fromkeys(cell.mode for cell in self.own):
            same_mode = [cell for cell in self.group if cell.mode == mode]
            found += [cell for cell in same_mode if cell.arch == self.reference.arch]
            found += [cell for cell in self.own if cell.mode == mode]
        pairs = (cell for head in found for cell in self._and_base(head))
        return tuple(dict.fromkeys((*self.anchors, *pairs)))

    @property
    def least(self) -> int:
        """How many of ``cells`` must be alive at once: up to the first own one, and its base."""
        if not self.own:
            return len(self.cells)
        own = set(self.own)
        first = next(count for count, cell in enumerate(self.cells, 1) if cell in own)
        return first + self.against_base

    def without(self, apart: Collection[Cell]) -> tuple["Wave", ...]:
        """The wave in two, the cells ``apart`` being the second's own; in halves if that can't be.

        Just this wave comes back where it is as small as can be.
        """
        second = set(self.own).intersection(replace(cell, base=False) for cell in apart)
        if len(second) in {0, len(self.own)}:
            second = set(self.own[(len(self.own) + 1) // 2 :])
        kept = tuple(cell for cell in self.own if cell not in second)
        moved = tuple(cell for cell in self.own if cell in second)
        return tuple(replace(self, own=own) for own in (kept, moved) if own) or (self,)

    def _and_base(self, cell: Cell) -> tuple[Cell, ...]:
        return (cell, base(cell)) if self.against_base else (cell,)


def whole(group: Sequence[Cell], to: Cell, *, against_base: bool = False) -> Wave:
    """The wave of a whole group, whose reference is ``to``."""
    own = tuple(cell for cell in group if cell != to)
    return Wave(own=own, group=tuple(group), reference=to, against_base=against_base)
