"""Table 1 of the paper as printed, and the comparison with a network's own counts.

Parameters are weights without biases, in K = 1024; operations are multiply-accumulates, in
M = 10⁶ (arXiv:1409.4842; the units were inferred from the rows that agree). A figure agrees if it
differs by less than one unit of the last printed digit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KIBI = 1024
MEGA = 1_000_000

SEPARABLE_STEM = "the paper counts a separable 7×7: 7·7·3·8 + 24·64 (googlenet-separable)"
WITH_BIASES = "with its 640 biases it has 379.6K, which rounds to 380K"
NOT_FROM_WIDTHS = "the printed figure does not follow from the row's own widths"
ONLY_EACH_OTHER = (
    "the printed figures agree with each other (1072K × 49 = 54M), not with the row's widths"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A row of Table 1: the printed figures, and the model's stages that it covers."""

    name: str
    params: str
    ops: str
    stages: tuple[str, ...]
    """Names of a model's direct children; names that a model lacks are ignored."""
    dense_weights: int
    """Number of weights of dense convolutions with the row's own widths."""
    reason: str = ""
    """Why these disagree with the printed figures; empty if they agree."""


def _inception(name: str, dense_weights: int, params: str, ops: str, reason: str = "") -> PaperRow:
    stages = (f"inception{name}",)
    return PaperRow(
        name=name, params=params, ops=ops, stages=stages, dense_weights=dense_weights, reason=reason
    )


PAPER_ROWS = (
    PaperRow(
        name="conv1",
        dense_weights=9_408,
        params="2.7K",
        ops="34M",
        stages=("conv1",),
        reason=SEPARABLE_STEM,
    ),
    PaperRow(
        name="conv2", dense_weights=114_688, params="112K", ops="360M", stages=("conv2", "conv3")
    ),
    _inception("3a", 163_328, "159K", "128M"),
    _inception("3b", 388_096, "380K", "304M", WITH_BIASES),
    _inception("4a", 375_552, "364K", "73M", NOT_FROM_WIDTHS),
    _inception("4b", 448_512, "437K", "88M", NOT_FROM_WIDTHS),
    _inception("4c", 509_440, "463K", "100M", NOT_FROM_WIDTHS),
    _inception("4d", 604_672, "580K", "119M", NOT_FROM_WIDTHS),
    _inception("4e", 867_328, "840K", "170M", NOT_FROM_WIDTHS),
    _inception("5a", 1_042_432, "1072K", "54M", ONLY_EACH_OTHER),
    _inception("5b", 1_442_816, "1388K", "71M", NOT_FROM_WIDTHS),
    PaperRow(name="linear", dense_weights=1_024_000, params="1000K", ops="1M", stages=("fc",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowComparison:
    """A network's counts for one row, compared with the printed figures."""

    row: PaperRow
    weights: int
    macs: int

    @property
    def reason(self) -> str:
        """Why the counts disagree with the paper; empty if they agree or the reason is unknown."""
        if self.params_agree and self.ops_agree:
            return ""
        has_paper_convolutions = self.weights == self.row.dense_weights
        return (
            self.row.reason
            if has_paper_convolutions
            else "the network's convolutions differ from the paper's"
        )

    @property
    def params_agree(self) -> bool:
        """Whether the weights agree with the printed figure within its precision."""
        return _prints_as(self.weights / KIBI, self.row.params.removesuffix("K"))

    @property
    def ops_agree(self) -> bool:
        """Whether the multiply-accumulates agree with the printed figure within its precision."""
        return _prints_as(self.macs / MEGA, self.row.ops.removesuffix("M"))


def compare(weights: Mapping[str, int], macs: Mapping[str, int]) -> tuple[RowComparison, ...]:
    """Compare a network's weights and MACs, per direct child, with the paper's rows.

    Raises ``ValueError`` if the network has none of a row's stages.
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
    """Whether a value differs from a printed one by less than one unit of its last digit.

    The printed value may be truncated or rounded.
    """
    unit: float = 10 ** -len(printed.partition(".")[2])
    return abs(value - float(printed)) < unit
