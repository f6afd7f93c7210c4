from tests.bench.pages import table_figures

PAGE = """# AMD EPYC, PyTorch 2.15

In 3 of 5 rounds.

| network 1 | ms |
|:----------|---:|
| a         | 1.5 (1.25–2,000) |
| b         | -3 |
"""


def test_figures_are_those_of_the_rows_of_tables() -> None:
    assert table_figures(PAGE) == [["1.5", "1.25", "2,000"], ["-3"]]


def test_a_reworded_sentence_or_heading_changes_no_figure() -> None:
    reworded = PAGE.replace("In 3 of 5", "Three of the 5").replace("network 1", "arch 2")
    assert table_figures(reworded) == table_figures(PAGE)


def test_another_figure_or_a_missing_row_is_noticed() -> None:
    assert table_figures(PAGE.replace("2,000", "2,001")) != table_figures(PAGE)
    assert table_figures(PAGE.replace("| b         | -3 |\n", "")) != table_figures(PAGE)
