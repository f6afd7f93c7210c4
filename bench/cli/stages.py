"""The command ``stages``: it measures where the time goes inside networks."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, read_parsed
from bench.archs import HOW_TO_NAME
from bench.cells import modes, plan
from bench.cli.command import Commands, Output, Purpose
from bench.folders import check_writable
from bench.machine import environment
from bench.names import RequestError
from bench.tables import terminal_console

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
    stages.add_argument(
        "arch",
        nargs="+",
        metavar="ARCH",
        help=HOW_TO_NAME,
    )
    stages.add_argument(
        "--mode", default="eager", metavar="MODE", help="tokens joined by + (eager)"
    )
    stages.add_argument("--dtype", default="fp32", metavar="NAME", help="(fp32)")
    stages.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    stages.add_argument(
        "--sets", type=int, default=SETS, metavar="N", help=f"sets of fresh processes ({SETS})"
    )
    add_to_parser(
        stages, MeasureRequest, only=("image_size", "input_shape", "device", "report_dir")
    )


def _stages(options: argparse.Namespace) -> Output:
    check_mode(options.mode)
    if options.sets < 1:
        raise RequestError(f"--sets must be at least 1, not {options.sets}")
    given = read_parsed(MeasureRequest, options)
    cells = plan.cells(
        arch_names=options.arch,
        mode_names=(options.mode,),
        dtype_names=(options.dtype,),
        batch_sizes=(options.batch_size,),
        task_names=("infer",),
        device=plan.device(given.device),
    )
    # Imported here because other commands must run without these modules' dependencies.
    from bench.api.progress import TerminalProgress
    from bench.launch.launchers import Spawner
    from bench.machine.load import SystemMeter
    from bench.stages import store, table
    from bench.stages.measure import Request, measure

    report_dir = None if given.report_dir is None else Path(given.report_dir)
    if report_dir is not None:
        check_writable(report_dir)
    request = Request(
        cells=cells,
        image_size=given.image_size,
        input_shape=given.input_shape,
        sets=options.sets,
        seed=SEED,
    )
    launcher = Spawner(
        environment.for_workers(os.environ), cpus=environment.cpus_for_workers(), module=WORKER
    )
    try:
        with TerminalProgress(terminal_console(stderr=True)) as progress, launcher:
            measured = measure(request, launcher, SystemMeter(), progress)
    except KeyboardInterrupt:
        raise RequestError("interrupted before any result was available") from None
    rows = table.frame(measured)
    text = table.render(options.format, rows)
    if report_dir is None:
        return Output(text)
    try:
        written = store.write(rows, report_dir)
    except OSError as error:
        raise RequestError(f"cannot write to {report_dir}: {error.strerror}") from error
    return Output(f"{text}\n\nwrote {written}" if options.format == "rich" else text)


def check_mode(mode: str) -> None:
    """Raise ``RequestError``, with the reason, for a mode whose stages cannot be timed."""
    fuses = [token for token in modes.parse(mode).tokens if not token.keeps_modules]
    if fuses:
        token = fuses[-1]  # the executor, if it is one of them
        why = UNSUPPORTED.get(token.name, f"it does not run a network's own modules ({token.what})")
        raise RequestError(
            f"the time of mode {mode!r} cannot be divided among stages: {why}; use eager or "
            "channels_last"
        )
