"""Files that pytest-benchmark wrote for another project are shown, without claims about sets."""

import csv
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.records import store
from tests.bench import runs
from tests.limits import HANG_S

Capture = pytest.CaptureFixture[str]
TESTS = """
import pytest

@pytest.mark.benchmark(group="sorting | <b>")
@pytest.mark.parametrize("count", [10, 1000])
def test_sorted(benchmark, count):
    benchmark.pedantic(sorted, args=(list(range(count, 0, -1)),), rounds=7, iterations=3)

def test_sum(benchmark):
    benchmark.pedantic(sum, args=([1, 2],), rounds=5)
"""
SORTED_10, SORTED_1000, SUM = (
    f"test_other.py::{name}" for name in ("test_sorted[10]", "test_sorted[1000]", "test_sum")
)
Change = tuple[tuple[Any, ...], Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that pytest-benchmark wrote."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "test_other.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--benchmark-json=other.json"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=HANG_S,
    )
    return folder / "other.json"


def content(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def changed(path: Path, into: Path, *changes: Change) -> str:
    """Write a copy of a file with other values, and return its path."""
    copy = content(path)
    for names, value in changes:
        part = copy
        for name in names[:-1]:
            part = part[name]
        part[names[-1]] = value
    into.write_text(json.dumps(copy), encoding="utf-8")
    return str(into)


def printed(capsys: Capture, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_report_has_the_statistics_of_every_benchmark(capsys: Capture, written: Path) -> None:
    table = printed(capsys, "report", str(written), "--format", "csv")
    rows = {row["benchmark"]: row for row in csv.DictReader(io.StringIO(table))}
    assert rows.keys() == {SORTED_10, SORTED_1000, SUM}
    for benchmark in content(written)["benchmarks"]:
        row, stats = rows[benchmark["fullname"]], benchmark["stats"]
        assert float(row["median_s"]) == statistics.median(stats["data"])
        assert float(row["iqr_s"]) == pytest.approx(float(row["q3_s"]) - float(row["q1_s"]))
        assert row["group"] == (benchmark["group"] or "")
    assert [rows[name]["rounds"] for name in (SORTED_10, SUM)] == ["7", "5"]
    assert [rows[name]["iterations"] for name in (SORTED_10, SUM)] == ["3", "1"]


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_report_says_that_no_interval_is_known(capsys: Capture, written: Path, form: str) -> None:
    text = " ".join(printed(capsys, "report", str(written), "--format", form).split())
    assert "it has no sets, that is, no samples from several fresh processes" in text
    assert "So no interval over processes is known." in text
    assert "no group" in text
    assert text.index("[10" if form == "rich" else "\\[10") < text.index("1000")


def test_groups_are_escaped_in_markdown(capsys: Capture, written: Path) -> None:
    text = printed(capsys, "report", str(written), "--format", "markdown")
    assert "### sorting &#124; &lt;b&gt;" in text
    assert "<b>" not in text


def test_figures_have_a_unit_that_fits(capsys: Capture, written: Path, tmp_path: Path) -> None:
    stats = ("benchmarks", 2, "stats")
    values = {"median": 0.0025, "q1": 0.002, "q3": 0.003, "iqr": 0.001}
    path = changed(
        written, tmp_path / "ms.json", *(((*stats, name), v) for name, v in values.items())
    )
    text = printed(capsys, "report", path, "--format", "markdown")
    (line,) = (line for line in text.splitlines() if "sum" in line)
    assert [cell.strip() for cell in line.split("|")[2:-1]] == [
        "2.50 (2.00–3.00)",
        "1.00",
        "5",
        "1",
    ]
    assert "median ms (quartiles)" in text


def test_report_writes_no_files(capsys: Capture, written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "other.json")
    printed(capsys, "report", path)
    assert [file.name for file in tmp_path.iterdir()] == ["other.json"]
    sentence = refused(capsys, "report", path, "--report-dir", str(tmp_path))
    assert "is a file of pytest-benchmark, for which there are no reports to write" in sentence


@pytest.mark.parametrize("option", ["--table=summary", "--export=bmf", "--labels=a,b"])
def test_what_needs_a_run_is_refused(capsys: Capture, written: Path, option: str) -> None:
    files = [str(written)] * (2 if option.startswith("--labels") else 1)
    sentence = refused(capsys, "report", *files, option)
    assert "this is not a run file of googlenet-bench" in sentence
    assert "only report FILE and compare A B show other files" in sentence


def test_compare_has_the_ratio_of_the_medians(
    capsys: Capture, written: Path, tmp_path: Path
) -> None:
    median_s = content(written)["benchmarks"][0]["stats"]["median"]
    slower = changed(
        written, tmp_path / "b.json", (("benchmarks", 0, "stats", "median"), 1.5 * median_s)
    )
    rows = json.loads(printed(capsys, "compare", str(written), slower, "--format", "json"))
    ratios = {row["benchmark"]: row["ratio"] for row in rows}
    assert ratios == {
        SORTED_10: pytest.approx(1.5),
        SORTED_1000: 1.0,
        SUM: 1.0,
    }
    assert rows[0]["median_s_a"] == pytest.approx(median_s)


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_compare_gives_no_advice_and_names_what_differs(
    capsys: Capture, written: Path, tmp_path: Path, form: str
) -> None:
    other = changed(
        written,
        tmp_path / "b.json",
        (("machine_info", "python_version"), "3.99.0"),
        (("benchmarks", 2, "fullname"), "new"),
    )
    text = " ".join(printed(capsys, "compare", str(written), other, "--format", form).split())
    assert text.startswith("No advice: without sets, nothing shows how much of a ratio is")
    assert "3.99.0 in B)" in text
    assert "Only in B: new." in text
    assert "Only in A: test" in text
    assert "B/A is the ratio of the medians." in text


def test_files_without_a_common_benchmark_have_no_table(
    capsys: Capture, written: Path, tmp_path: Path
) -> None:
    changes = [(("benchmarks", index, "fullname"), f"new{index}") for index in range(3)]
    other = changed(written, tmp_path / "b.json", *changes)
    text = printed(capsys, "compare", str(written), other, "--format", "markdown")
    assert "|" not in text
    assert "Only in B: new0, new1, new2." in text


@pytest.mark.parametrize("option", ["--across=torch", "--fail-on=regressed"])
def test_options_about_advice_are_refused(capsys: Capture, written: Path, option: str) -> None:
    sentence = refused(capsys, "compare", str(written), str(written), option)
    assert "there is no advice on files of pytest-benchmark" in sentence


def test_a_run_is_not_compared_with_a_file_of_pytest_benchmark(
    capsys: Capture, written: Path, tmp_path: Path
) -> None:
    run_file = tmp_path / "run.json"
    store.write(runs.small(), run_file)
    for files in ((str(written), str(run_file)), (str(run_file), str(written))):
        sentence = refused(capsys, "compare", *files)
        assert f"{written} is a file of pytest-benchmark, but {run_file} is a run" in sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((("benchmarks",), []), "is a file of pytest-benchmark without benchmarks"),
        ((("benchmarks",), 3), "Expected `array`, got `int` - at `$.benchmarks`"),
        ((("benchmarks", 0, "stats"), {}), "missing required field `median`"),
        ((("benchmarks", 0, "stats", "median"), "x"), "Expected `float`, got `str`"),
        ((("benchmarks", 0, "fullname"), SUM), f"several benchmarks named {SUM}"),
        ((("machine_info",), [1]), "Expected `object`, got `array` - at `$.machine_info`"),
    ],
)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_damaged_files_are_refused_in_a_sentence(
    capsys: Capture, written: Path, tmp_path: Path, change: Change, expected: str, command: str
) -> None:
    path = changed(written, tmp_path / "damaged.json", change)
    sentence = refused(capsys, command, *[path] * (2 if command == "compare" else 1))
    assert path in sentence
    assert expected in sentence
