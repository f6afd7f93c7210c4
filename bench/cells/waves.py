"""Waves: which cells are alive together.

Every ratio to the reference is computed inside one wave. Cells of different waves are compared
through the reference.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bench.cells.cell import Cell


def reference(group: Sequence[Cell], arch: str, mode: str) -> Cell:
    """Return a group's reference: of this arch and mode if possible, else of the arch only.

    If there are several, as in a group with several dtypes, it is the first of them.
    """
    return min(group, key=lambda cell: (cell.arch != arch, cell.mode != mode))


def control(of: Cell) -> Cell:
    """Return the control: the reference as a second cell."""
    return replace(of, control=True)


def base(of: Cell) -> Cell:
    """Return the base's copy of a cell."""
    return replace(of, base=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Cells to measure, and the cells of their group that they are compared with."""

    own: tuple[Cell, ...]
    """Cells measured by this wave only. The waves share out all cells except the reference."""
    group: tuple[Cell, ...]
    reference: Cell
    against_base: bool = False
    """Whether each cell, except the control, is also compared with the base's copy."""

    @property
    def anchors(self) -> tuple[Cell, ...]:
        """The cells that are in every wave: the reference, its base if any, and its control."""
        return (*self._and_base(self.reference), control(self.reference))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The anchors, then the own cells mode by mode, each mode with the reference's arch first.

        Workers start in this order, so that each has its comparison if the order is cut off.
        """
        ordered: list[Cell] = []
        for mode in dict.fromkeys(cell.mode for cell in self.own):
            same_mode = [cell for cell in self.group if cell.mode == mode]
            ordered += [cell for cell in same_mode if cell.arch == self.reference.arch]
            ordered += [cell for cell in self.own if cell.mode == mode]
        pairs = (cell for head in ordered for cell in self._and_base(head))
        return tuple(dict.fromkeys((*self.anchors, *pairs)))

    def needed(self, alive: Collection[Cell]) -> tuple[Cell, ...]:
        """Return the cells of ``alive`` without which nothing can be compared.

        These are the first of ``cells``, up to the first own cell and its base.
        """
        cells = [cell for cell in self.cells if cell in alive]
        first = next((cell for cell in cells if cell in self.own), None)
        if first is None:
            return tuple(cells)
        return tuple(cells[: cells.index(first) + 1 + (base(first) in cells)])

    def split(self, apart: Collection[Cell]) -> tuple["Wave", ...]:
        """Split the wave in two: the second part owns the cells ``apart``.

        If this is impossible, each part owns half of the cells. A wave with at most one own cell is
        returned unchanged.
        """
        second_own = set(self.own).intersection(replace(cell, base=False) for cell in apart)
        if len(second_own) in {0, len(self.own)}:
            second_own = set(self.own[(len(self.own) + 1) // 2 :])
        first_part = tuple(cell for cell in self.own if cell not in second_own)
        second_part = tuple(cell for cell in self.own if cell in second_own)
        return tuple(replace(self, own=own) for own in (first_part, second_part) if own) or (self,)

    def _and_base(self, cell: Cell) -> tuple[Cell, ...]:
        return (cell, base(cell)) if self.against_base else (cell,)


def single_wave(group: Sequence[Cell], to: Cell, *, against_base: bool = False) -> Wave:
    """Return one wave for a whole group, with the reference ``to``."""
    own = tuple(cell for cell in group if cell != to)
    return Wave(own=own, group=tuple(group), reference=to, against_base=against_base)
