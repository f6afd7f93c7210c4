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


def _inception(name: str, widths_give: int, params: str, ops: str, reason: str = "") -> PaperRow:
    stages = (f"inception{name}",)
    return PaperRow(
        name=name, params=params, ops=ops, stages=stages, widths_give=widths_give, reason=reason
    )


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
    _inception("3a", 163_328, "159K", "128M"),
    _inception("3b", 388_096, "380K", "304M", WITH_BIASES),
    _inception("4a", 375_552, "364K", "73M", OWN_WIDTHS),
    _inception("4b", 448_512, "437K", "88M", OWN_WIDTHS),
    _inception("4c", 509_440, "463K", "100M", OWN_WIDTHS),
    _inception("4d", 604_672, "580K", "119M", OWN_WIDTHS),
    _inception("4e", 867_328, "840K", "170M", OWN_WIDTHS),
    _inception("5a", 1_042_432, "1072K", "54M", EACH_OTHER),
    _inception("5b", 1_442_816, "1388K", "71M", OWN_WIDTHS),
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
