import io
import re

import pytest
from rich.console import Console

from bench.api.progress import TerminalProgress
from tests.bench import runs

WIDTH = 120
ESCAPE = "\x1b"


def log() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=False, width=WIDTH), file


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[Console, io.StringIO]:
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=WIDTH), file


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_log_has_a_plain_line_for_each_phase() -> None:
    console, file = log()
    with TerminalProgress(console) as progress:
        progress.phase("set 1: warming up", 2)
        progress.advance("a")
        progress.advance("b")
        progress.phase("set 1: measuring", 1)
    text = file.getvalue()
    assert ESCAPE not in text
    assert "\r" not in text
    lines = [re.sub(r"^ +\d+\.\d s  ", "", line) for line in text.splitlines() if line]
    assert lines == ["set 1: warming up (2 steps)", "set 1: measuring (1 step)"]


def test_a_log_names_a_failed_cell_and_the_reason() -> None:
    console, file = log()
    with TerminalProgress(console) as progress:
        progress.phase("set 1: measuring", 1)
        progress.failed(runs.FAILED, runs.FAILURE)
    text = " ".join(file.getvalue().split())
    reason = " ".join(runs.HOSTILE.split())
    assert f"failed: {runs.FAILED.id} while measuring: {reason}" in text


def test_a_terminal_counts_the_steps_of_a_phase(terminal: tuple[Console, io.StringIO]) -> None:
    console, file = terminal
    with TerminalProgress(console) as progress:
        progress.phase("set 1: measuring", 3)
        progress.advance(runs.EAGER.id)
        progress.advance(runs.BATCH.id)
    text = file.getvalue()
    assert ESCAPE in text
    last = [line for line in plain(text).splitlines() if "measuring" in line][-1]
    assert "2/3" in last


def test_a_terminal_keeps_the_bars_of_finished_phases(
    terminal: tuple[Console, io.StringIO],
) -> None:
    console, file = terminal
    with TerminalProgress(console) as progress:
        progress.phase("warming up", 1)
        progress.advance("a")
        progress.phase("measuring", 4)
        progress.advance("a")
    lines = [line for line in plain(file.getvalue()).splitlines() if line.strip()]
    assert "warming up" in lines[-2]
    assert "1/1" in lines[-2]
    assert "measuring" in lines[-1]
    assert "1/4" in lines[-1]


def test_a_terminal_does_not_interpret_markup_in_names(
    terminal: tuple[Console, io.StringIO],
) -> None:
    console, file = terminal
    with TerminalProgress(console) as progress:
        progress.phase("measuring", 2)
        progress.advance("[red]arch[/red]")
        progress.failed(runs.FAILED, runs.FAILURE)
        progress._bars.refresh()
    text = plain(file.getvalue())
    assert "[red]arch[/red]" in text
    assert f"failed: {runs.FAILED.id} while measuring" in text


def test_a_step_outside_a_phase_is_ignored() -> None:
    console, file = log()
    with TerminalProgress(console) as progress:
        progress.advance("a")
    assert file.getvalue() == ""


WHY = "other processes use 1.1 CPUs, allowed 0.15"


def lines_of(text: str) -> list[str]:
    return [re.sub(r"^ +\d+\.\d s  ", "", line) for line in text.splitlines() if line.strip()]


def test_a_log_has_a_line_when_rounds_begin_and_cease_to_be_voided() -> None:
    console, file = log()
    with TerminalProgress(console) as progress:
        progress.phase("set 1: measuring", 10)
        for voided, rounds, why in [(0, 1, ""), (1, 2, WHY), (2, 3, WHY), (2, 4, ""), (2, 5, "")]:
            progress.judged(voided, rounds, why)
        progress.phase("set 2: measuring", 10)
        progress.judged(1, 1, WHY)
    assert lines_of(file.getvalue()) == [
        "set 1: measuring (10 steps)",
        f"1 of 2 rounds voided: {WHY}",
        "2 of 4 rounds voided: the last ones are valid",
        "set 2: measuring (10 steps)",
        f"1 of 1 round voided: {WHY}",
    ]


def test_a_terminal_shows_the_voided_rounds_until_that_changes(
    terminal: tuple[Console, io.StringIO],
) -> None:
    console, file = terminal
    with TerminalProgress(console) as progress:
        progress.phase("set 1: measuring", 10)
        progress.judged(7, 10, WHY)
        for name in ("first", "second"):
            progress.visited(name)
            progress._bars.refresh()
            shown = lines_of(plain(file.getvalue()))
            assert shown[-1] == f"7 of 10 rounds voided: {WHY}"
            assert name in shown[-2]
    (bar,) = progress._bars.tasks
    assert (bar.completed, bar.total) == (0, 10)  # voided rounds and visits are no steps


def test_a_terminal_without_voided_rounds_has_no_line_for_them(
    terminal: tuple[Console, io.StringIO],
) -> None:
    console, file = terminal
    with TerminalProgress(console) as progress:
        progress.phase("set 1: measuring", 10)
        progress.advance("", 3)
        progress.judged(0, 3, "")
    text = plain(file.getvalue())
    assert "voided" not in text
    assert "3/10" in text.splitlines()[-1]
