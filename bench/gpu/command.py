"""``python3 -m bench.gpu DIR``: everything that takes a GPU, in one go and in twenty minutes.

For a machine without network or nox, from the root of a checkout; this interpreter has PyTorch,
pytest and pytest-timeout, and what ``pip install -e '.[measure,gpu]'`` asks for. What a step has
written into DIR stays, whatever comes after it.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench import names
from bench.atomic import write_text
from bench.cells import plan
from bench.exits import Exit
from bench.folders import check_writable
from bench.gpu import step
from bench.gpu.step import GpuStep, Taken
from bench.gpu.steps import TESTS, steps
from bench.names import RequestError
from bench.signals import terminated_like_interrupted
from bench.tables import Column, as_markdown, scaled, terminal_console

LIMIT_S = 1200.0
FILE = "gpu.md"
COLUMNS = (
    Column(name="step", heading="step", is_text=True),
    Column(name="what", heading="what", is_text=True),
    Column(name="seconds", heading="seconds", write=scaled(1, 0)),
    Column(name="ending", heading="ending", is_text=True),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take every step; 1 where one did not end well, 2 where there is nothing to take them on."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    try:
        device = plan.device(options.device)
        wanted = chosen(options.steps, steps(device, options.folder))
        check(options.limit, options.folder)
    except RequestError as error:
        console.print(f"bench.gpu: {error}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    earlier = "" if options.steps is None else _page(options.folder)
    return _take(wanted, options.folder, options.limit, console, earlier)


def check(limit_s: float, folder: Path) -> None:
    """Refuse what no step could be taken with, in a sentence."""
    if not limit_s > 0:
        raise RequestError(f"--limit must be a positive number of seconds, not {limit_s:g}")
    if not Path(TESTS).is_dir():
        raise RequestError(f"there is no folder {TESTS!r} here: start it at a checkout's root")
    check_writable(folder)


def chosen(asked: str | None, known: Mapping[str, GpuStep]) -> tuple[GpuStep, ...]:
    """The steps asked for, in their own order: what would be missed most comes first."""
    if asked is None:
        return tuple(known.values())
    found = [names.choose("step", name, known) for name in names.listed(asked, "--steps")]
    return tuple(step for step in known.values() if step in found)


def _page(folder: Path) -> str:
    """The page of an earlier call, to which this one's steps are added; empty without one."""
    path = folder / FILE
    return path.read_text(encoding="utf-8") + "\n" if path.is_file() else ""


def _take(
    wanted: Sequence[GpuStep], folder: Path, limit_s: float, console: Console, earlier: str
) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Taken] = []
    try:
        with terminated_like_interrupted():  # a scheduler's time limit sends that
            for one in step.take(wanted, folder, limit_s):
                taken.append(one)
                write_text(folder / FILE, earlier + render(taken, folder))
                console.print(
                    f"{one.step.name}: {one.ending}, {one.seconds:.0f} s", highlight=False
                )
    except KeyboardInterrupt:
        console.print(f"bench.gpu: interrupted; what was done until then is in {folder}")
        return Exit.WRONG_REQUEST
    console.print(f"wrote {folder / FILE}", markup=False, highlight=False, soft_wrap=True)
    return Exit.FINE if all(one.is_fine for one in taken) else Exit.FAILED


def render(taken: Sequence[Taken], folder: Path) -> str:
    """What was done, a row a step, and where to read what is there of it."""
    rows = [
        {
            "step": one.step.name,
            "what": one.step.what,
            "seconds": one.seconds,
            "ending": one.ending,
        }
        for one in taken
    ]
    links = [f"- [{one.step.report}]({one.step.report})" for one in taken if _wrote(one, folder)]
    parts = ["# What was run", as_markdown(COLUMNS, pd.DataFrame(rows)), "\n".join(links)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _wrote(taken: Taken, folder: Path) -> bool:
    """Whether a step's report is its own, and not that of an earlier try."""
    path = folder / taken.step.report
    return path.is_file() and path.stat().st_mtime >= taken.began


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.gpu",
        description="Run the GPU's tests, the default profile in each precision, our clocks beside "
        "others', a sweep of batch sizes, the stages, and energy; each in its own time, and what "
        "one has written stays.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where reports and logs go")
    parser.add_argument("--device", help="cuda, cuda:N or cpu (cuda where there is one)")
    parser.add_argument(
        "--steps",
        metavar="A,B,…",
        help=f"of {', '.join(steps('cpu', Path()))} (all); for a machine that is lent call by call",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LIMIT_S,
        metavar="SECONDS",
        help=f"for everything ({LIMIT_S:.0f})",
    )
    return parser
