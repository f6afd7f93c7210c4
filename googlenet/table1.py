"""Table 1 of the paper as printed, and how a network's own counts stand beside it.

Parameters are weights without biases, in K = 1024; operations are multiply-accumulates, in
M = 10⁶ (arXiv:1409.4842; the units were worked out from the rows that agree). A figure agrees when
it is less than one unit of the last printed digit away.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KIBI = 1024
MEGA = 1_000_000

SEPARABLE_STEM = "the paper counts a separable 7×7: 7·7·3·8 + 24·64 (googlenet-separable)"
WITH_BIASES = "with its 640 biases 379.6K, which rounds to 380K"
OWN_WIDTHS = "not what the row's own widths give"
EACH_OTHER = "the two agree with each other (1072K × 49 = 54M), not with the row's widths"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A row of Table 1: printed figures, and which of a model's stages make it up."""

    name: str
    params: str
    ops: str
    stages: tuple[str, ...]
    """Names of a model's direct children; those that a model lacks count nothing."""
    widths_give: int
    """Weights of dense convolutions with the row's own widths."""
    reason: str = ""
    """Why those disagree with the printed figures, where they do."""


PAPER_ROWS = (
    PaperRow(
        name="conv1",
        widths_give=9_408,
        params="2.7K",
        ops="34M",
        stages=("conv1",),
        reason=SEPARABLE_STEM,
    ),
    PaperRow(
        name="conv2", widths_give=114_688, params="112K", ops="360M", stages=("conv2", "conv3")
    ),
    PaperRow(name="3a", widths_give=163_328, params="159K", ops="128M", stages=("inception3a",)),
    PaperRow(
        name="3b",
        widths_give=388_096,
        params="380K",
        ops="304M",
        stages=("inception3b",),
        reason=WITH_BIASES,
    ),
    PaperRow(
        name="4a",
        widths_give=375_552,
        params="364K",
        ops="73M",
        stages=("inception4a",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(
        name="4b",
        widths_give=448_512,
        params="437K",
        ops="88M",
        stages=("inception4b",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(
        name="4c",
        widths_give=509_440,
        params="463K",
        ops="100M",
        stages=("inception4c",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(
        name="4d",
        widths_give=604_672,
        params="580K",
        ops="119M",
        stages=("inception4d",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(
        name="4e",
        widths_give=867_328,
        params="840K",
        ops="170M",
        stages=("inception4e",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(
        name="5a",
        widths_give=1_042_432,
        params="1072K",
        ops="54M",
        stages=("inception5a",),
        reason=EACH_OTHER,
    ),
    PaperRow(
        name="5b",
        widths_give=1_442_816,
        params="1388K",
        ops="71M",
        stages=("inception5b",),
        reason=OWN_WIDTHS,
    ),
    PaperRow(name="linear", widths_give=1_024_000, params="1000K", ops="1M", stages=("fc",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowComparison:
    """One row's own counts beside the printed ones."""

    row: PaperRow
    weights: int
    macs: int

    @property
    def reason(self) -> str:
        """Why the two disagree, where they do and it is known."""
        if self.params_agree and self.ops_agree:
            return ""
        of_the_paper = self.weights == self.row.widths_give
        return self.row.reason if of_the_paper else "not the paper's convolutions"

    @property
    def params_agree(self) -> bool:
        """Whether our weights agree with the printed figure to its precision."""
        return _prints_as(self.weights / KIBI, self.row.params.removesuffix("K"))

    @property
    def ops_agree(self) -> bool:
        """Whether our multiply-accumulates agree with the printed figure to its precision."""
        return _prints_as(self.macs / MEGA, self.row.ops.removesuffix("M"))


def compare(weights: Mapping[str, int], macs: Mapping[str, int]) -> tuple[RowComparison, ...]:
    """Put a network's weights and MACs per direct child beside the paper's rows.

    Raises ``ValueError`` where the network lacks a row's stages altogether.
    """
    absent = [row.name for row in PAPER_ROWS if not any(stage in macs for stage in row.stages)]
    if absent:
        raise ValueError(f"this network has no stage for Table 1's rows {', '.join(absent)}")
    return tuple(
        RowComparison(
            row=row,
            weights=sum(weights.get(stage, 0) for stage in row.stages),
            macs=sum(macs.get(stage, 0) for stage in row.stages),
        )
        for row in PAPER_ROWS
    )


def _prints_as(value: float, printed: str) -> bool:
    """Whether a value is less than one unit of the last printed digit away, cut off or rounded."""
    unit: float = 10 ** -len(printed.partition(".")[2])
    return abs(value - float(printed)) < unit
