"""``python -m bench.studies.selfcheck``: measure the suite's own bias and costs."""

import argparse
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from types import MappingProxyType

from rich.console import Console

from bench import archs, names
from bench.api.profiles import MODES, REFERENCE_ARCH, THROUGHPUT_BATCH
from bench.api.progress import TerminalProgress
from bench.atomic import write_text
from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.exits import Exit
from bench.launch import timeouts
from bench.launch.launchers import ForkServer, Launcher, Spawner, launcher
from bench.launch.process import WorkerError
from bench.machine import cores, environment, pinned
from bench.studies.selfcheck import bias, handover, report, scale, startup
from bench.studies.selfcheck.bias import Bias
from bench.studies.selfcheck.report import Selfcheck
from bench.studies.selfcheck.scale import Scale
from bench.tables import terminal_console
from bench.worker.protocol import Describe

SETS = 3  # for each way of starting workers
SEED = 0
WORKER = "bench.studies.selfcheck.worker"
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "bias": "the suite's clock against other timers",
        "startup": "forked workers against fresh interpreters",
        "handover": "cost of visiting another worker",
        "scale": "bookkeeping of large runs",
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the self-check, print and write its report, and return the exit code.

    The code is 1 if a result is not accepted, 2 if the check did not finish, and 3 if it is too
    noisy to tell whether the clocks agree.
    """
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    result: Selfcheck | None = None
    error_message = ""
    try:
        parts = names.listed(options.parts, "--parts")
        for part in parts:
            names.choose("part", part, PARTS)
        for partial in check(plan_values.device(options.device), options.sets, parts, console):
            result = partial
    except (RequestError, WorkerError, CalledProcessError) as error:
        error_message = str(error)
    except KeyboardInterrupt:
        error_message = "interrupted; parts that were not measured are missing from the report"
    if result is not None and not _write(result, options.report_dir, console):
        return Exit.WRONG_REQUEST
    if error_message or result is None:
        console.print(f"selfcheck: {error_message}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    return result.exit_code


def _write(result: Selfcheck, folder: Path | None, console: Console) -> bool:
    page = report.render(result)
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    machine = environment.machine_slug(result.environment)
    path = (folder or Path("reports") / machine) / report.FILE
    try:
        write_text(path, page)
    except OSError as error:
        console.print(f"selfcheck: cannot write {path}: {error.strerror}", markup=False)
        return False
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return True


def check(device: str, sets: int, parts: Collection[str], console: Console) -> Iterator[Selfcheck]:
    """Run the parts, and yield all results so far after each part and after each cell of "bias".

    Raises ``WorkerError`` if a worker fails, and ``RequestError`` if ``sets`` is less than 1.
    """
    if sets < 1:
        raise RequestError(f"--sets must be at least 1, not {sets}")
    same = startup.plan(device, seed=SEED)
    with TerminalProgress(console) as progress:
        with _fastest_launcher() as workers:
            may_fork = isinstance(workers, ForkServer)
            worker = workers.launch()
            described = worker.request(Describe(device=device), limit_s=timeouts.SHORT_S)
            result = Selfcheck(environment=described)
            worker.close()
            if "handover" in parts:
                progress.phase("hand-over", 1)
                handovers, idleness = handover.measure(same.cells, workers, seed=SEED)
                yield (result := replace(result, handovers=handovers, idleness=idleness))
        if "bias" in parts:
            for biases in _biases(device, progress):
                yield (result := replace(result, biases=biases))
        if "startup" in parts:
            ways = {"fresh interpreters": lambda: _spawner(WORKER)}
            if may_fork:
                ways["forked"] = _fastest_launcher
            startups = tuple(startup.measure(ways, same, sets, progress))
            yield (result := replace(result, startups=startups))
        if "scale" in parts:
            yield replace(result, scales=_scales(progress))


def _biases(device: str, progress: Progress) -> Iterator[tuple[Bias, ...]]:
    """Yield all biases so far after each cell, because a cell takes up to half a minute."""
    progress.phase("bias", len(MODES))
    biases: tuple[Bias, ...] = ()
    for result in bias.measure(_cells(device), _spawner(WORKER), seed=SEED):
        biases = (*biases, result)
        progress.advance(result.cell.id)
        yield biases


def _scales(progress: Progress) -> dict[str, tuple[Scale, ...]]:
    progress.phase("scale", len(scale.LAYOUTS))
    scales = {}
    for layout, sizes in scale.LAYOUTS.items():
        scales[layout] = tuple(scale.measure(sizes))
        progress.advance(layout)
    return scales


def _cells(device: str) -> tuple[Cell, ...]:
    """Return one cell for each executor and memory format, on a GPU at the throughput batch.

    At batch 1 every network is launch-bound on a GPU. ``do_bench`` launches the next call while the
    cache is still being emptied, which hides the first launches. The two spans then differ by some
    percent, and neither is wrong.
    """
    return plan_values.cells(
        arch_names=(REFERENCE_ARCH,),
        mode_names=MODES,
        dtype_names=("fp32",),
        batch_sizes=(1 if device == "cpu" else THROUGHPUT_BATCH["cuda"],),
        task_names=("infer",),
        device=device,
    )


def _spawner(module: str) -> Launcher:
    return Spawner(pinned.for_workers(os.environ), cpus=cores.cpus_for_workers(), module=module)


def _fastest_launcher() -> Launcher:
    return launcher(
        pinned.for_workers(os.environ),
        archs.find(REFERENCE_ARCH).imports,
        cores.cpus_for_workers(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.selfcheck",
        description="Measure the bias of the suite's clock and the cost of starting workers and of "
        f"switching between them; write {report.FILE}.",
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:N (cuda if available, else cpu)")
    parser.add_argument(
        "--sets",
        type=int,
        default=SETS,
        metavar="N",
        help=f"number of sets for each way of starting workers ({SETS})",
    )
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        metavar="A,B,…",
        help="; ".join(f"{name}: {what}" for name, what in PARTS.items()) + " (all)",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="output folder (reports/<machine>)"
    )
    return parser
