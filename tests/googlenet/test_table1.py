import pytest

from googlenet.table1 import PAPER_ROWS, WITH_BIASES, RowComparison, compare
from tests.counted import counted

BLOCKS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def compared(name: str) -> dict[str, RowComparison]:
    stages = counted(name).stages
    rows = compare(
        weights={stage.name: stage.weights for stage in stages},
        macs={stage.name: stage.macs for stage in stages},
    )
    return {comparison.row.name: comparison for comparison in rows}


@pytest.fixture(scope="module")
def rows() -> dict[str, RowComparison]:
    return compared("googlenet")


def test_the_rows_are_those_of_the_paper(rows: dict[str, RowComparison]) -> None:
    # docs/facts.md, Table 1.
    printed = [
        *[("conv1", "2.7K", "34M"), ("conv2", "112K", "360M"), ("3a", "159K", "128M")],
        *[("3b", "380K", "304M"), ("4a", "364K", "73M"), ("4b", "437K", "88M")],
        *[("4c", "463K", "100M"), ("4d", "580K", "119M"), ("4e", "840K", "170M")],
        *[("5a", "1072K", "54M"), ("5b", "1388K", "71M"), ("linear", "1000K", "1M")],
    ]
    assert [(row.name, row.params, row.ops) for row in PAPER_ROWS] == printed
    assert list(rows) == [name for name, _, _ in printed]


def test_counts_of_googlenet(rows: dict[str, RowComparison]) -> None:
    # docs/facts.md: 3a 163,328, conv2 114,688, conv1 9,408 and 118M; conv1 at 112×112.
    assert rows["3a"].weights == 163_328
    assert rows["conv2"].weights == 114_688
    assert rows["conv2"].macs == 114_688 * 56**2
    assert (rows["conv1"].weights, rows["conv1"].macs) == (9_408, 9_408 * 112**2)
    assert rows["linear"].weights == rows["linear"].macs == 1024 * 1000


@pytest.mark.parametrize("name", ["conv2", "3a", "linear"])
def test_rows_that_agree_in_params_and_ops(rows: dict[str, RowComparison], name: str) -> None:
    assert rows[name].params_agree
    assert rows[name].ops_agree


@pytest.mark.parametrize("name", ["conv1", "5a"])
def test_rows_that_disagree_in_params_and_ops(rows: dict[str, RowComparison], name: str) -> None:
    assert not rows[name].params_agree
    assert not rows[name].ops_agree


@pytest.mark.parametrize("name", ["4a", "4b", "4c", "4d", "4e", "5b"])
def test_rows_that_disagree_only_in_params(rows: dict[str, RowComparison], name: str) -> None:
    assert not rows[name].params_agree  # docs/facts.md: the printed params of 4a–5b
    assert rows[name].ops_agree


def test_exactly_the_rows_that_disagree_have_a_reason(rows: dict[str, RowComparison]) -> None:
    disagreeing = {
        name
        for name, comparison in rows.items()
        if not (comparison.params_agree and comparison.ops_agree)
    }
    assert disagreeing == {row.name for row in PAPER_ROWS if row.reason}


def test_the_separable_stem_has_the_printed_figures() -> None:
    conv1 = compared("googlenet-separable")["conv1"]
    assert conv1.weights == 7 * 7 * 3 * 8 + 24 * 64 == 2_712
    assert conv1.macs == 2_712 * 112**2 == 34_019_328
    assert conv1.params_agree
    assert conv1.ops_agree


@pytest.mark.parametrize(
    ("weights", "agrees"),
    [(158 * 1024, False), (158 * 1024 + 1, True), (160 * 1024 - 1, True), (160 * 1024, False)],
)
def test_figures_agree_up_to_one_printed_unit(weights: int, agrees: bool) -> None:
    row = next(row for row in PAPER_ROWS if row.name == "3a")
    assert RowComparison(row=row, weights=weights, macs=0).params_agree is agrees


def test_a_row_sums_its_stages() -> None:
    weights = dict.fromkeys(
        ["conv1", "conv2", "conv3", "fc", *(f"inception{b}" for b in BLOCKS)], 7
    )
    comparisons = {item.row.name: item for item in compare(weights, weights)}
    assert comparisons["conv2"].weights == comparisons["conv2"].macs == 14
    assert comparisons["conv1"].weights == 7


def test_a_network_without_a_row_s_stages_is_refused() -> None:
    stages = {"conv1": 9_408, "layer1": 1, "fc": 512_000}
    with pytest.raises(ValueError, match=r"no stage for Table 1's rows conv2, 3a, .*5b$"):
        compare(stages, stages)


@pytest.mark.parametrize(
    ("macs", "ops_agree"), [(303_464_448, True), (304_999_999, True), (305_000_000, False)]
)
def test_one_figure_that_disagrees_has_a_reason(macs: int, ops_agree: bool) -> None:
    (row,) = (row for row in PAPER_ROWS if row.name == "3b")
    comparison = RowComparison(row=row, weights=388_096, macs=macs)
    assert (comparison.params_agree, comparison.ops_agree) == (False, ops_agree)
    assert comparison.reason == WITH_BIASES
