from pathlib import Path

import pandas as pd

from bench.best import report
from bench.best.candidate import Candidate
from bench.best.decision import BEST, Decision, Result
from bench.cells.cell import Cell
from bench.means import Interval


def candidate(mode: str, speedup: float | None, verdict: str, batch_size: int = 1) -> Candidate:
    cell = Cell(
        arch="a|b", mode=mode, dtype="fp32", batch_size=batch_size, task="infer", device="cpu"
    )
    interval = (
        None
        if speedup is None
        else Interval(estimate=speedup, low=speedup - 0.1, high=speedup + 0.1, sets=3)
    )
    return Candidate(cell=cell, speedup=interval, latency=interval, error=1e-6, verdict=verdict)


WINNER = candidate("compile", 2.0, BEST)
RESULT = Result(
    candidates=[
        candidate("eager", 1.0, "the reference"),
        candidate("aot", None, "dropped: it failed: a|b").drop(1, "it failed"),
        candidate("channels_last", 2.5, BEST, batch_size=8),
        WINNER,
    ],
    decisions=(
        Decision(batch_size=1, winner=WINNER, is_decided=True, sentences=("Best: compile.",)),
    ),
    notes=("The budget ended it.",),
)


def test_the_winner_of_each_batch_size_comes_first_and_the_dropped_last() -> None:
    rows = report.frame(RESULT)
    assert list(zip(rows["batch_size"], rows["mode"], strict=True)) == [
        (1, "compile"),
        (1, "eager"),
        (1, "aot"),
        (8, "channels_last"),
    ]


def test_notes_come_before_the_decisions() -> None:
    assert report.sentences(RESULT) == ("The budget ended it.", "Best: compile.")


def test_the_page_has_the_programs_and_the_table_escaped_names(tmp_path: Path) -> None:
    page, table = (tmp_path / name for name in (report.MARKDOWN, report.CSV))
    assert set(report.write(RESULT, {1: "import torch\n"}, tmp_path)) == {page, table}
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"{report.TITLE}\n\nThe budget ended it.\n\nBest: compile.\n\n| mode")
    assert text.endswith("## The program for batch 1\n\n```python\nimport torch\n```\n")
    assert "a|b" not in text.partition("| mode")[2]
    assert list(pd.read_csv(table)["mode"]) == ["compile", "eager", "aot", "channels_last"]
