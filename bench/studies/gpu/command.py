"""``python3 -m bench.gpu DIR``: run everything that needs a GPU, in twenty minutes.

It works without network and nox. Run it from the root of a checkout with an interpreter that has
PyTorch, pytest, pytest-timeout and the dependencies of ``pip install -e '.[measure,gpu]'``. The
files that a step has written to DIR are kept even if a later step fails.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench import names
from bench.atomic import write_text
from bench.cells import plan_values
from bench.columns import Column, scaled
from bench.errors import RequestError
from bench.exits import Exit
from bench.folders import check_writable
from bench.signals import sigterm_as_interrupt
from bench.studies.gpu import step
from bench.studies.gpu.step import GpuStep, StepResult
from bench.studies.gpu.steps import TESTS, steps
from bench.tables import as_markdown, terminal_console

LIMIT_S = 1200.0
FILE = "gpu.md"
COLUMNS = (
    Column(name="step", heading="step", is_text=True),
    Column(name="what", heading="what", is_text=True),
    Column(name="seconds", heading="seconds", write=scaled(1, 0)),
    Column(name="ending", heading="ending", is_text=True),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; return 1 if one fails, 2 if the request is invalid or interrupted."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    try:
        device = plan_values.device(options.device)
        selected = choose_steps(options.steps, steps(device, options.folder))
        check(options.limit, options.folder)
    except RequestError as error:
        console.print(f"bench.gpu: {error}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    earlier = "" if options.steps is None else _page(options.folder)
    return _run(selected, options.folder, options.limit, console, earlier)


def check(limit_s: float, folder: Path) -> None:
    """Raise ``RequestError`` for a limit or folder with which no step can run."""
    if not limit_s > 0:
        raise RequestError(f"--limit must be a positive number of seconds, not {limit_s:g}")
    if not Path(TESTS).is_dir():
        raise RequestError(
            f"the current folder has no folder {TESTS!r}: run this in the root of a checkout"
        )
    check_writable(folder)


def choose_steps(requested: str | None, known: Mapping[str, GpuStep]) -> tuple[GpuStep, ...]:
    """Return the requested steps in the fixed order, the most important first."""
    if requested is None:
        return tuple(known.values())
    selected = [names.choose("step", name, known) for name in names.listed(requested, "--steps")]
    return tuple(step for step in known.values() if step in selected)


def _page(folder: Path) -> str:
    """Return the page of an earlier call, to which new steps are appended; empty if none exists."""
    path = folder / FILE
    return path.read_text(encoding="utf-8") + "\n" if path.is_file() else ""


def _run(
    selected: Sequence[GpuStep], folder: Path, limit_s: float, console: Console, earlier: str
) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    results: list[StepResult] = []
    try:
        with sigterm_as_interrupt():  # a scheduler's time limit sends SIGTERM
            for result in step.run_steps(selected, folder, limit_s):
                results.append(result)
                write_text(folder / FILE, earlier + render(results, folder))
                console.print(
                    f"{result.step.name}: {result.ending}, {result.seconds:.0f} s", highlight=False
                )
    except KeyboardInterrupt:
        console.print(f"bench.gpu: interrupted; the results of the finished steps are in {folder}")
        return Exit.WRONG_REQUEST
    console.print(f"wrote {folder / FILE}", markup=False, highlight=False, soft_wrap=True)
    return Exit.FINE if all(result.succeeded for result in results) else Exit.FAILED


def render(results: Sequence[StepResult], folder: Path) -> str:
    """Return the Markdown page: a table with a row per step, and links to the reports."""
    rows = [
        {
            "step": result.step.name,
            "what": result.step.what,
            "seconds": result.seconds,
            "ending": result.ending,
        }
        for result in results
    ]
    links = [
        f"- [{result.step.report}]({result.step.report})"
        for result in results
        if _wrote(result, folder)
    ]
    parts = ["# What was run", as_markdown(COLUMNS, pd.DataFrame(rows)), "\n".join(links)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _wrote(result: StepResult, folder: Path) -> bool:
    """Whether the step wrote its report itself, not an earlier attempt."""
    path = folder / result.step.report
    return path.is_file() and path.stat().st_mtime >= result.began


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.gpu",
        description="Run the tests that need a GPU, the default profile in each precision, a "
        "comparison of clocks, a sweep of batch sizes, the stages, and energy. Each step has a "
        "time limit, and its files are kept.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder for reports and logs")
    parser.add_argument("--device", help="cuda, cuda:N or cpu (default: cuda if available)")
    parser.add_argument(
        "--steps",
        metavar="A,B,…",
        help=f"steps to run, of {', '.join(steps('cpu', Path()))} (default: all); use it if the "
        "machine is available only for one call at a time",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LIMIT_S,
        metavar="SECONDS",
        help=f"time limit for all steps together ({LIMIT_S:.0f})",
    )
    return parser
