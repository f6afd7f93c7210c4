import io
import json
import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from bench import columns, tables
from bench.columns import IN_FULL, Column
from bench.tables import BLANK, FORMATS, LOG_WIDTH

TEXT = Column(name="text", heading="text", is_text=True)
NUMBER = Column(name="number", heading="number s", write=columns.scaled(1, 2))
HIDDEN = Column(name="number", heading="in full", rank=IN_FULL)


def frame(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"text": texts, "number": [float(index) for index in range(len(texts))]})


def rich_text(columns: tuple[Column, ...], rows: pd.DataFrame) -> str:
    console = Console(file=io.StringIO(), width=LOG_WIDTH)
    with console.capture() as captured:
        console.print(tables.as_rich(columns, rows))
    return captured.get()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.000_123_4, "0.123"),
        (0.000_999, "0.999"),
        (0.001, "1.00"),
        (0.009_994, "9.99"),
        (0.01, "10.0"),
        (0.026_31, "26.3"),
        (0.1, "100"),
        (1.234_5, "1,234"),
    ],
)
def test_milliseconds_have_three_significant_digits(seconds: float, text: str) -> None:
    assert columns.milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("factor", "decimals", "value", "text"),
    [(1, 0, 6998552, "6,998,552"), (1e-6, 3, 6998552, "6.999"), (2**-20, 0, 3 * 2**20, "3")],
)
def test_scaled_numbers_have_decimals_and_thousands_separators(
    factor: float, decimals: int, value: float, text: str
) -> None:
    assert columns.scaled(factor, decimals)(value) == text


@pytest.mark.parametrize(
    ("write", "ends", "texts"),
    [
        (columns.signed(1, 1), (-0.6, -0.8, -0.3), ["−0.6 (−0.8 to −0.3)"]),
        (columns.signed(1, 1), (-0.1, -0.4, 0.2), ["−0.1 (−0.4 to +0.2)"]),
        (columns.signed(1, 1), (-0.01, -0.02, 0.04), ["0.0 (0.0–0.0)"]),
        (columns.signed(1, 1), (0.6, 0.04, 1.2), ["+0.60 (+0.04 to +1.20)"]),
        (columns.scaled(1, 1), (0.6, 0.04, 1.2), ["0.60 (0.04–1.20)"]),
        ("{:.1f}".format, (0.6, 0.04, 1.2), ["0.6 (0.0–1.2)"]),  # its decimals are unknown
    ],
)
def test_intervals_have_minus_signs_and_show_their_side_of_the_neutral_value(
    write: Callable[[float], str], ends: tuple[float, float, float], texts: list[str]
) -> None:
    column = Column(name="x", heading="x", write=write, bounded=True, neutral=0.0)
    rows = pd.DataFrame([dict(zip(("x", "x_low", "x_high"), ends, strict=True))])
    assert tables.cells((column,), rows) == [texts]


def test_text_keeps_its_hyphens() -> None:
    assert tables.cells((TEXT,), frame("-1", "-0")) == [["-1"], ["-0"]]


def test_a_missing_value_is_shown_as_a_dash() -> None:
    rows = pd.DataFrame({"text": ["a", None], "number": [math.nan, 0.5]})
    assert tables.cells((TEXT, NUMBER), rows) == [["a", BLANK], [BLANK, "0.50"]]


def test_a_missing_column_is_shown_as_dashes() -> None:
    assert tables.cells((TEXT,), pd.DataFrame({"other": [1, 2]})) == [[BLANK], [BLANK]]


def test_filled_leaves_out_columns_without_any_value() -> None:
    rows = pd.DataFrame({"text": ["a", None], "number": [math.nan, math.nan]})
    absent = Column(name="absent", heading="absent")
    assert columns.filled((TEXT, NUMBER, absent), rows) == (TEXT,)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("a|b", "a&#124;b"),
        ("<b>", "&lt;b&gt;"),
        ("&lt;", "&amp;lt;"),
        ("`a`", r"\`a\`"),
        ("a\nb", "a b"),
        ("a\r\n\n# b", "a # b"),
        ("_a_ *b* [c]", r"\_a\_ \*b\* \[c\]"),
        ("\\|", r"\\&#124;"),
    ],
)
def test_markdown_escapes_text_that_would_break_the_table(value: str, escaped: str) -> None:
    lines = tables.as_markdown((TEXT, NUMBER), frame(value)).splitlines()
    assert len(lines) == 3
    assert [part.strip() for part in lines[2].strip("|").split("|")] == [escaped, "0.00"]


def test_markdown_escapes_headings() -> None:
    heading = tables.as_markdown((Column(name="text", heading="a|<b>\nc"),), frame("x"))
    assert heading.splitlines()[0].strip("| ") == "a&#124;&lt;b&gt; c"


def test_markdown_aligns_text_left_and_numbers_right() -> None:
    rule = tables.as_markdown((TEXT, NUMBER), frame("x")).splitlines()[1].strip("|").split("|")
    assert [(part[0], part[-1]) for part in rule] == [(":", "-"), ("-", ":")]


def test_markdown_does_not_reformat_text_that_looks_like_a_number() -> None:
    assert "1e-05" in tables.as_markdown((TEXT,), frame("1e-05"))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_safe_defuses_formulas(sign: str) -> None:
    safe = tables.csv_safe(frame(f"{sign}1+1", "plain", "a=b"))
    assert list(safe["text"]) == [f"'{sign}1+1", "plain", "a=b"]


def test_csv_safe_does_not_change_numbers_and_missing_values() -> None:
    rows = pd.DataFrame(
        {"number": [-1.5, math.nan, -0.0], "count": [-1, 2, 3], "text": ["", "a", None]}
    )
    pd.testing.assert_frame_equal(tables.csv_safe(rows), rows)


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_csv_safe_defuses_text_of_any_dtype(dtype: str) -> None:
    rows = pd.DataFrame({"text": pd.Series(["=1", "a", "=1"], dtype=dtype), "number": [-1, 0, 1]})
    assert tables.csv_safe(rows).to_dict("list") == {
        "text": ["'=1", "a", "'=1"],
        "number": [-1, 0, 1],
    }


def test_csv_has_all_columns_unrounded() -> None:
    rows = pd.DataFrame({"text": ["=1", 'a "b", c\nd'], "number": [1 / 3, math.nan]})
    text = FORMATS["csv"]((TEXT,), rows)
    read = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(read, tables.csv_safe(rows))


def test_json_has_null_for_missing_values() -> None:
    rows = pd.DataFrame({"text": ["a", None], "number": [math.nan, 0.125], "count": [1, 2]})
    assert json.loads(FORMATS["json"]((TEXT,), rows)) == [
        {"text": "a", "number": None, "count": 1},
        {"text": None, "number": 0.125, "count": 2},
    ]


@pytest.mark.parametrize("value", [1.234567890123e-6, 1 / 3, 1582671872, 2**53])
def test_json_does_not_round_numbers(value: float) -> None:
    rows = pd.DataFrame({"number": [value]})
    (read,) = json.loads(FORMATS["json"]((NUMBER,), rows))
    assert read["number"] == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    "value",
    ["googlenet", "[red]a[/red]", "[/]", r"\[bold]x", "trailing\\", "torchvision:smile:", "a[0]"],
)
def test_rich_shows_every_value_unchanged(value: str) -> None:
    shown = rich_text((TEXT, NUMBER), frame(value))
    assert value in shown
    assert "0.00" in shown


@pytest.mark.parametrize("heading", ["× package:heart:", "× [b]", "two\nlines"])
def test_rich_shows_every_heading_unchanged(heading: str) -> None:
    shown = rich_text((Column(name="text", heading=heading),), frame("x"))
    assert all(line in shown for line in heading.splitlines())


@pytest.mark.parametrize("width", [12, 20, 40])
def test_a_narrow_terminal_marks_cropped_numbers_with_an_ellipsis(width: int) -> None:
    rows = pd.DataFrame({"text": ["googlenet-3x3-pool2"], "number": [1234567.25]})
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(tables.as_rich((TEXT, NUMBER), rows))
    body = [line.split("│")[1:-1] for line in captured.get().splitlines() if "│" in line]
    for column, full in enumerate(["googlenet-3x3-pool2", "1,234,567.25"]):
        shown = "".join(cells[column].strip() for cells in body)
        assert shown == full or shown.endswith("…")


def test_a_narrow_console_leaves_out_columns_of_the_highest_rank() -> None:
    for width, is_shown in ((LOG_WIDTH, True), (len(TEXT.heading) + 10, False)):
        console = Console(file=io.StringIO(), width=width)
        with console.capture() as captured:
            console.print(tables.fitted(console, (TEXT, HIDDEN), frame("x")))
        shown = captured.get()
        assert TEXT.heading in shown
        assert (HIDDEN.heading in shown) is is_shown


BOUNDED = Column(name="number", heading="ms", write="{:.0f}".format, bounded=True)
RARER = Column(name="other", heading="J/image", write="{:.0f}".format, rank=1)


@pytest.mark.parametrize(
    ("width", "shown", "missing"),
    [
        (60, ["x", "5 (4–6)", "7"], ["narrow"]),
        (27, ["x", " 5 ", "(4–6)", "7"], ["5 (4–6)", "narrow"]),
        (20, ["x", " 5 ", "(4–6)", "narrow: J/image"], ["7"]),
    ],
)
def test_intervals_move_below_their_values_before_columns_are_left_out(
    width: int, shown: list[str], missing: list[str]
) -> None:
    rows = pd.DataFrame(
        {"text": ["x"], "number": [5.0], "number_low": [4.0], "number_high": [6.0], "other": [7.0]}
    )
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(tables.fitted(console, (TEXT, BOUNDED, RARER), rows))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert all(part in text for part in map(str.strip, shown))
    assert not any(part in text for part in missing)


@pytest.mark.parametrize("width", [24, 40])
def test_a_table_that_does_not_fit_becomes_one_block_per_row(width: int) -> None:
    rows = pd.DataFrame({"text": ["googlenet-3x3-pool2", "b"], "number": [1234567.25, math.nan]})
    console = Console(file=io.StringIO(), width=width)
    many = (TEXT, NUMBER, *(replace(NUMBER, heading=f"as number {n}") for n in range(9)))
    with console.capture() as captured:
        console.print(tables.fitted(console, many, rows))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    values = [line.split("│")[2].strip() for line in lines if line.count("│") == 3]
    assert (
        "".join(values) == ("googlenet-3x3-pool2" + 10 * "1,234,567.25") + "b" + 10 * tables.BLANK
    )
    assert "…" not in captured.get()


def test_prose_is_wrapped_before_columns_are_left_out() -> None:
    prose = Column(name="why", heading="why", is_text=True, wraps=True)
    rows = pd.DataFrame({"text": ["x"], "why": ["so many words " * 30], "other": [7.0]})
    console = Console(file=io.StringIO(), width=60)
    with console.capture() as captured:
        console.print(tables.fitted(console, (TEXT, prose, RARER), rows))
    headings = next(line for line in captured.get().splitlines() if "┃" in line)
    assert "why" in headings
    assert "J/image" in headings
    assert captured.get().count("words") == 30


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_without_rows_says_so_to_people(name: str) -> None:
    prose = Column(name="why", heading="why", is_text=True, wraps=True)
    shown = FORMATS[name]((TEXT, prose), pd.DataFrame({"text": [], "why": []}))
    assert shown == {"json": "[]", "csv": "text,why"}.get(name, "The table has no rows.")


def test_rich_shows_the_title() -> None:
    console = Console(file=io.StringIO(), width=LOG_WIDTH)
    with console.capture() as captured:
        console.print(tables.as_rich((TEXT, NUMBER), frame("x" * 40), "fp32, batch 1"))
    assert "fp32, batch 1" in captured.get()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_every_row(name: str) -> None:
    shown = FORMATS[name]((TEXT, NUMBER), frame("first", "second"))
    assert shown.index("first") < shown.index("second")


def test_a_log_is_as_wide_as_columns_says_and_has_no_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    file = io.StringIO()
    console = tables.terminal_console(file)
    assert console.width == 40
    console.print("[red]x[/red]" + "x" * 49)
    assert file.getvalue() == "x" * 40 + "\n" + "x" * 10 + "\n"


def test_a_log_has_a_fixed_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    file = io.StringIO()
    console = tables.terminal_console(file)
    assert console.width == LOG_WIDTH
    console.print("x" * LOG_WIDTH)
    assert file.getvalue() == "x" * LOG_WIDTH + "\n"


def test_html_is_escaped_and_has_a_row_per_line() -> None:
    columns = (TEXT, Column(name="number", heading="a\n& b"))
    html = tables.as_html(columns, frame("<b>", "x & y"), "<title>")
    assert html.count("<tr>") == 3
    for text in ("<caption>&lt;title&gt;</caption>", ">a &amp; b</th>", ">&lt;b&gt;</td>"):
        assert text in html
    assert "<b>" not in html
    assert '<td style="text-align:left">x &amp; y</td>' in html
