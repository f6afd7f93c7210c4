"""``python -m bench.sharpness``: hold the experiments, keep every iteration, and write the page."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench import names
from bench.atomic import write_text
from bench.engine import timeouts
from bench.engine.process import WorkerError
from bench.exits import Exit
from bench.machine import environment
from bench.names import RequestError
from bench.sharpness import live, report
from bench.sharpness.experiments import EXPERIMENTS, STEPS
from bench.suite.profiles import REFERENCE_ARCH
from bench.suite.progress import TerminalProgress
from bench.tables import terminal_console

SECONDS = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold experiments and write what they gave; 2 where that cannot be done."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    try:
        chosen = names.listed(options.experiments, "--experiments")
        for name in chosen:
            names.choose("experiment", name, EXPERIMENTS)
        _hold(chosen, options, console)
    except KeyboardInterrupt:
        console.print("sharpness: interrupted; nothing was written")
        return Exit.WRONG_REQUEST
    except (RequestError, WorkerError, OSError) as error:
        console.print(f"sharpness: {error}", markup=False)
        return Exit.WRONG_REQUEST
    return Exit.FINE


def _hold(chosen: Sequence[str], options: argparse.Namespace, console: Console) -> None:
    with live.workers([live.cell(REFERENCE_ARCH, "eager")]) as (clerk,):
        about = clerk.process.request("describe", limit_s=timeouts.SHORT_S, device="cpu")
    folder = options.report_dir or Path("reports") / environment.machine_slug(about)
    path = folder / report.RAW_FILE
    others = report.read(path)
    with TerminalProgress(console) as progress:
        rows: list[live.Iteration] = []
        for name in chosen:
            progress.phase(name, STEPS[name] * options.repetitions)
            for repetition in range(options.repetitions):
                rows += EXPERIMENTS[name](options.seconds, repetition, progress)
    new = pd.DataFrame(map(asdict, rows), columns=list(live.Iteration.__dataclass_fields__))
    frame = pd.concat([others[~others["experiment"].isin(chosen)], new], ignore_index=True)
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    frame.to_csv(beside, index=False, compression={"method": "gzip", "mtime": 1})
    beside.replace(path)
    page = report.render(str(about["device_name"]), str(about["torch"]), report.read(path))
    write_text(folder / report.FILE, page)
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {folder / report.FILE}", markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sharpness",
        description="Measure what disturbs the ratio of two networks and what sharpens it: "
        f"OpenMP's spinning, the length of visits, processes. Writes {report.FILE} and every "
        f"iteration ({report.RAW_FILE}); experiments that are not held again keep theirs.",
    )
    parser.add_argument(
        "--experiments",
        default=",".join(EXPERIMENTS),
        metavar="A,B,…",
        help=f"which to hold ({', '.join(EXPERIMENTS)}; all)",
    )
    parser.add_argument(
        "--repetitions", type=_positive, default=2, metavar="N", help="of each experiment (2)"
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=SECONDS,
        metavar="S",
        help=f"of each way to visit in each repetition; twice that for first iterations, four "
        f"times for processes ({SECONDS:g})",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="where it goes (reports/<machine>)"
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of 1 or more is expected, not {text!r}")
    return int(text)
