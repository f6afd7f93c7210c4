"""The command ``stages``: it measures where the time goes inside networks."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench import signals
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser
from bench.archs import source_file
from bench.cells import modes, plan_values
from bench.cells.plan import Plan
from bench.cli import project_archs
from bench.cli.command import Commands, Output, Purpose
from bench.errors import RequestError
from bench.exits import Exit
from bench.folders import check_writable
from bench.tables import terminal_console

if TYPE_CHECKING:
    from bench.stages.measure import StagesRun

SHARED = (*project_archs.SHARED, "device", "foreign_cpus", "allow_shared", "report_dir")
SETS = 3  # fewer give a 95 % interval that is too wide to use
SEED = 0  # of the weights, the images and the random orders
WORKER = "bench.stages.worker"
# Executors whose stages cannot be timed, with the reason.
UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "compile": "Inductor fuses operators across stages, and names its kernels after operators "
        "and not after modules"
    }
)


def add(commands: Commands) -> None:
    """Add the command."""
    stages = commands.add(
        "stages",
        _stages,
        "measure where the time goes inside networks, by stage and branch",
        Purpose.MEASURE,
    )
    project_archs.add(stages)
    stages.add_argument(
        "--mode", default="eager", metavar="MODE", help="tokens joined by + (eager)"
    )
    stages.add_argument("--dtype", default="fp32", metavar="NAME", help="(fp32)")
    stages.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    stages.add_argument(
        "--sets", type=int, default=SETS, metavar="N", help=f"sets of fresh processes ({SETS})"
    )
    add_to_parser(stages, MeasureRequest, only=SHARED)


def _stages(options: argparse.Namespace) -> Output:
    check_mode(options.mode)
    completed = project_archs.read(options, also=("foreign_cpus",))
    with source_file.looked_up_in(completed.folder):
        return _measured(options, completed.request)


def _measured(options: argparse.Namespace, given: MeasureRequest) -> Output:
    """Measure the stages, print them, and write them to the report folder if there is one."""
    # Imported here because other commands must run without these modules' dependencies.
    from bench.api import planning
    from bench.stages import measure, store, table

    request = replace(
        given,
        modes=(options.mode,),
        dtypes=(options.dtype,),
        batch_sizes=(options.batch_size,),
        device=plan_values.device(given.device),
        rounds=measure.ROUNDS,
        seed=SEED,
        ceiling=False,
        energy=False,
    )
    to_measure = planning.make_plan(request)
    report_dir = None if given.report_dir is None else Path(given.report_dir)
    if report_dir is not None:
        check_writable(report_dir)
    with signals.single_interrupt():
        measured = _measure(to_measure)
        signals.ignore_interrupts()
        exit_code = Exit.FAILED if measured.errors else Exit.FINE
        if not measured.networks:
            return Output("", exit_code, measured.errors)
        rows = table.frame(measured.networks)
        text = table.render(options.format, rows)
        if report_dir is None:
            return Output(text, exit_code, measured.errors)
        try:
            written = store.write(rows, report_dir)
        except OSError as error:
            raise RequestError(f"cannot write to {report_dir}: {error.strerror}") from error
    if options.format == "rich":
        text = f"{text}\n\nwrote {written}"
    return Output(text, exit_code, measured.errors)


def _measure(to_measure: Plan) -> "StagesRun":
    """Measure the stages of a plan; failures to start, and interrupts, are a ``RequestError``."""
    from bench.api import measuring
    from bench.api.progress import TerminalProgress
    from bench.engine.local.resources import cards_of
    from bench.launch.process import WorkerError
    from bench.stages import measure

    try:
        with (
            TerminalProgress(terminal_console(stderr=True)) as progress,
            measuring.start_launcher(to_measure, WORKER) as launcher,
        ):
            cards = cards_of(to_measure, progress)
            return measure.measure(to_measure, launcher, progress, cards=cards)
    except KeyboardInterrupt:
        raise RequestError("interrupted before any result was available") from None
    except WorkerError as error:
        raise RequestError("\n".join(filter(None, [str(error), error.stderr]))) from error


def check_mode(mode: str) -> None:
    """Raise ``RequestError``, with the reason, for a mode whose stages cannot be timed."""
    fuses = [step for step in modes.parse(mode).steps if not step.keeps_modules]
    if fuses:
        step = fuses[-1]  # the executor, if it is one of them
        why = UNSUPPORTED.get(step.name, f"it does not run a network's own modules ({step.what})")
        raise RequestError(
            f"the time of mode {mode!r} cannot be divided among stages: {why}; use eager or "
            "channels_last"
        )
