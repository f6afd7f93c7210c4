"""``python -m bench.studies.sharpness``: run the experiments, and write their iterations."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench import names
from bench.api.profiles import REFERENCE_ARCH
from bench.api.progress import TerminalProgress
from bench.atomic import write_text
from bench.errors import RequestError
from bench.exits import Exit
from bench.launch import timeouts
from bench.launch.process import WorkerError
from bench.machine import environment
from bench.studies.sharpness import live, report
from bench.studies.sharpness.experiments import EXPERIMENTS, STEPS
from bench.tables import terminal_console
from bench.worker.protocol import Describe

SECONDS = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run experiments and write the results; return the exit code, which is 2 if that fails."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    try:
        chosen = names.listed(options.experiments, "--experiments")
        for name in chosen:
            names.choose("experiment", name, EXPERIMENTS)
        _run(chosen, options, console)
    except KeyboardInterrupt:
        console.print("sharpness: interrupted; nothing was written")
        return Exit.WRONG_REQUEST
    except (RequestError, WorkerError, OSError) as error:
        console.print(f"sharpness: {error}", markup=False)
        return Exit.WRONG_REQUEST
    return Exit.FINE


def _run(chosen: Sequence[str], options: argparse.Namespace, console: Console) -> None:
    with live.workers([live.cell(REFERENCE_ARCH, "eager")]) as (worker,):
        description = worker.process.request(Describe(device="cpu"), limit_s=timeouts.SHORT_S)
    folder = options.report_dir or Path("reports") / environment.machine_slug(description)
    path = folder / report.RAW_FILE
    earlier = report.read(path)
    with TerminalProgress(console) as progress:
        rows: list[live.Iteration] = []
        for name in chosen:
            progress.phase(name, STEPS[name] * options.repetitions)
            for repetition in range(options.repetitions):
                rows += EXPERIMENTS[name](options.seconds, repetition, progress)
    new = pd.DataFrame(map(asdict, rows), columns=list(live.Iteration.__dataclass_fields__))
    kept = earlier[~earlier["experiment"].isin(chosen)]
    frame = new if kept.empty else pd.concat([kept, new], ignore_index=True)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    frame.to_csv(temporary, index=False, compression={"method": "gzip", "mtime": 1})
    temporary.replace(path)
    page = report.render(str(description.device_name), str(description.torch), report.read(path))
    write_text(folder / report.FILE, page)
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {folder / report.FILE}", markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.sharpness",
        description="Measure what makes the ratio of two networks more or less precise: OpenMP's "
        f"spinning, the length of visits, processes. Writes {report.FILE} and every iteration "
        f"({report.RAW_FILE}); the results of experiments that are not run again are kept.",
    )
    parser.add_argument(
        "--experiments",
        default=",".join(EXPERIMENTS),
        metavar="A,B,…",
        help=f"experiments to run ({', '.join(EXPERIMENTS)}; all)",
    )
    parser.add_argument(
        "--repetitions",
        type=_positive,
        default=2,
        metavar="N",
        help="repetitions of each experiment (2)",
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=SECONDS,
        metavar="S",
        help=f"seconds per repetition for each way of visiting ({SECONDS:g}); 'first' takes twice "
        f"and 'processes' four times as long",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="output folder (reports/<machine>)"
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, not {text!r}")
    return int(text)
