import pytest

from bench.stages.vocabulary import BRANCHES, GOOGLENET, is_googlenet, paper_macs
from googlenet.table1 import PAPER_ROWS

INCEPTION = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
# The keys of Table 1's rows, and of the stages that these rows make up.
KEYS = {
    *(("stem", branch) for branch in ("", "conv1", "conv2")),
    *((stage, "") for stage in INCEPTION),
    *(("head", branch) for branch in ("", "linear")),
}


def test_stages_are_in_the_order_of_a_forward_pass() -> None:
    assert list(GOOGLENET) == [
        *("stem", "3a", "3b", "pool3", "4a", "4b", "4c", "4d", "4e", "pool4", "5a", "5b", "head")
    ]


def test_every_row_of_table_1_is_a_stage_or_part_of_a_stage() -> None:
    names = {branch or stage for stage, parts in GOOGLENET.items() for branch in parts}
    assert [row.name for row in PAPER_ROWS if row.name not in names] == []


def test_branches_have_the_papers_names() -> None:
    assert list(BRANCHES.values()) == 2 * ["1×1", "3×3", "5×5", "pool"]


@pytest.mark.parametrize("conv2", [{"conv2"}, {"conv2", "conv3"}])
def test_network_with_every_row_of_table_1_is_googlenet(conv2: set[str]) -> None:
    children = {"conv1", *conv2, *(f"inception{name}" for name in INCEPTION), "fc"}
    assert is_googlenet(children)
    for name in ("conv1", "inception4c", "fc"):
        assert not is_googlenet(children - {name})


def test_paper_macs_are_the_sums_of_the_rows_of_table_1() -> None:
    macs = paper_macs(KEYS)
    assert macs["stem", "conv1"] == 34_000_000
    assert macs["stem", "conv2"] == 360_000_000
    assert macs["stem", ""] == 34_000_000 + 360_000_000
    assert macs["4e", ""] == 170_000_000
    assert macs["head", ""] == macs["head", "linear"] == 1_000_000
    inception = (128, 304, 73, 88, 100, 119, 170, 54, 71)
    assert macs["(whole)", ""] == (34 + 360 + sum(inception) + 1) * 1_000_000
    assert macs.keys() == {*KEYS, ("(whole)", "")}


def test_network_that_lacks_a_row_has_no_paper_macs() -> None:
    assert paper_macs(KEYS - {("4e", "")}) == {}
    assert paper_macs(set()) == {}
