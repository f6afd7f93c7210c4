"""``python -m bench.selfcheck``: measure what the suite can say of itself, and write it down."""

import argparse
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from types import MappingProxyType

from rich.console import Console

from bench import names
from bench.atomic import write_text
from bench.cells import archs, plan
from bench.cells.cell import Cell
from bench.engine import timeouts
from bench.engine.context import Progress
from bench.engine.launch import ForkServer, Launcher, Spawner, launcher
from bench.engine.process import WorkerError
from bench.exits import Exit
from bench.machine import environment
from bench.names import RequestError
from bench.selfcheck import bias, handover, report, scale, startup
from bench.selfcheck.bias import Bias
from bench.selfcheck.report import Selfcheck
from bench.selfcheck.scale import Scale
from bench.suite.profiles import MODES, REFERENCE_ARCH, THROUGHPUT_BATCH
from bench.suite.progress import TerminalProgress
from bench.tables import terminal_console

SETS = 3  # of each way to start workers
SEED = 0
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "bias": "our clock beside others'",
        "startup": "forked workers beside fresh interpreters",
        "handover": "from one worker to the next",
        "scale": "the bookkeeping of large runs",
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, show and write what was measured; 1: not accepted, 2: cut short, 3: unclear."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    found: Selfcheck | None = None
    cut_short = ""
    try:
        parts = names.listed(options.parts, "--parts")
        for part in parts:
            names.choose("part", part, PARTS)
        for so_far in check(plan.device(options.device), options.sets, parts, console):
            found = so_far
    except (RequestError, WorkerError, CalledProcessError) as error:
        cut_short = str(error)
    except KeyboardInterrupt:
        cut_short = "interrupted; it says nothing of what it has not measured"
    if found is not None and not _write(found, options.report_dir, console):
        return Exit.WRONG_REQUEST
    if cut_short or found is None:
        console.print(f"selfcheck: {cut_short}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    return found.exit_code


def _write(found: Selfcheck, folder: Path | None, console: Console) -> bool:
    page = report.render(found)
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    machine = environment.machine_slug(found.environment)
    path = (folder or Path("reports") / machine) / report.FILE
    try:
        write_text(path, page)
    except OSError as error:
        console.print(f"selfcheck: cannot write {path}: {error.strerror}", markup=False)
        return False
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return True


def check(device: str, sets: int, parts: Collection[str], console: Console) -> Iterator[Selfcheck]:
    """What is known after each part asked for, and each cell of one, as workers start here.

    Raises ``WorkerError`` where a worker fails, ``RequestError`` for no sets.
    """
    if sets < 1:
        raise RequestError(f"--sets must be at least 1, not {sets}")
    same = startup.plan(device, seed=SEED)
    with TerminalProgress(console) as progress:
        with _quickest() as workers:
            may_fork = isinstance(workers, ForkServer)
            clerk = workers.launch()
            found = Selfcheck(
                environment=clerk.request("describe", limit_s=timeouts.SHORT_S, device=device)
            )
            clerk.close()
            if "handover" in parts:
                progress.phase("hand-over", 1)
                handovers, idleness = handover.measure(same.cells, workers, seed=SEED)
                yield (found := replace(found, handovers=handovers, idleness=idleness))
        if "bias" in parts:
            for biases in _biases(device, progress):
                yield (found := replace(found, biases=biases))
        if "startup" in parts:
            ways = {"fresh interpreters": lambda: _spawner("bench.worker")}
            if may_fork:
                ways["forked"] = _quickest
            startups = tuple(startup.measure(ways, same, sets, progress))
            yield (found := replace(found, startups=startups))
        if "scale" in parts:
            yield replace(found, scales=_scales(progress))


def _biases(device: str, progress: Progress) -> Iterator[tuple[Bias, ...]]:
    """All so far, after each cell: one takes up to half a minute."""
    progress.phase("bias", len(MODES))
    biases: tuple[Bias, ...] = ()
    for one in bias.measure(_cells(device), _spawner("bench.selfcheck.worker"), seed=SEED):
        biases = (*biases, one)
        progress.advance(one.cell.id)
        yield biases


def _scales(progress: Progress) -> dict[str, tuple[Scale, ...]]:
    progress.phase("scale", len(scale.LAYOUTS))
    scales = {}
    for layout, sizes in scale.LAYOUTS.items():
        scales[layout] = tuple(scale.measure(sizes))
        progress.advance(layout)
    return scales


def _cells(device: str) -> tuple[Cell, ...]:
    """One of each kind of executor and memory format; on a GPU at the throughput batch.

    There ``do_bench`` asks for the next call while the cache is still being emptied, and of a
    launch-bound network, as each is at batch 1, that hides the first launches: spans of the same
    work differ by some percent, and neither is wrong.
    """
    return plan.cells(
        arch_names=(REFERENCE_ARCH,),
        mode_names=MODES,
        dtype_names=("fp32",),
        batch_sizes=(1 if device == "cpu" else THROUGHPUT_BATCH["cuda"],),
        task_names=("infer",),
        device=device,
    )


def _spawner(module: str) -> Launcher:
    return Spawner(
        environment.for_workers(os.environ), cpus=environment.cpus_for_workers(), module=module
    )


def _quickest() -> Launcher:
    return launcher(
        environment.for_workers(os.environ),
        archs.find(REFERENCE_ARCH).imports,
        environment.cpus_for_workers(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.selfcheck",
        description="Measure how right the suite's clock is, and what starting workers and going "
        f"from one to the next costs; write it to {report.FILE}.",
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:N (cuda where there is one)")
    parser.add_argument(
        "--sets", type=int, default=SETS, metavar="N", help=f"of each way to start workers ({SETS})"
    )
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        metavar="A,B,…",
        help="; ".join(f"{name}: {what}" for name, what in PARTS.items()) + " (all)",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="where it goes (reports/<machine>)"
    )
    return parser
