"""``python -m bench.studies.power``: collect sets and gates, and compute error rates from them.

New rows are appended to those of earlier runs, so the tables grow over days.
"""

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from bench.api.progress import TerminalProgress
from bench.atomic import write_text
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.exits import Exit
from bench.gate.group_sequential import Settings
from bench.launch import timeouts
from bench.launch.launchers import Launcher, Spawner, launcher
from bench.launch.process import WorkerError
from bench.machine import cores, environment, pinned
from bench.machine.environment import Environment
from bench.names import choose
from bench.studies.power import calibration, end_to_end, report, sets, table
from bench.studies.power.cases import PLANS, PROTOCOL, Case
from bench.studies.power.end_to_end import GateRow
from bench.studies.power.load import competitor
from bench.studies.power.sets import SetRow
from bench.tables import terminal_console
from bench.worker.protocol import Describe

# Cases of the end-to-end gates, in turn: the mode, and what is injected into head.
_GATE_CASES = tuple(
    Case(mode=mode, kind="conv", percent=5.0) for mode in ("eager", "channels_last")
)
_GATE_IS_SAME = {"quiet": (True, False), "loaded": (True,)}  # by load: whether gates are A/A
IMPORTS = ("torchvision", "bench.worker.preload")


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect rows and write the report; return the exit code.

    Returns 2 if that fails or is interrupted. Rows collected until then are kept.
    """
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    code = Exit.FINE
    try:
        cases = choose("plan", options.plan, PLANS)
        description = _describe_environment()
        machine = environment.machine_slug(description)
        folder = options.report_dir or Path("reports") / machine
        try:
            _collect(options, cases, folder, console)
        except KeyboardInterrupt:
            console.print("gate_power: interrupted; the rows collected so far are kept")
            code = Exit.WRONG_REQUEST
        page = report.render(
            str(description.device_name),
            table.read(folder / report.SETS_FILE, SetRow),
            table.read(folder / report.GATES_FILE, GateRow),
            Settings(),
        )
        write_text(folder / report.FILE, page)
    except KeyboardInterrupt:
        console.print("gate_power: interrupted")
        return Exit.WRONG_REQUEST
    except (RequestError, WorkerError, OSError) as error:
        console.print(f"gate_power: {error}", markup=False)
        return Exit.WRONG_REQUEST
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {folder / report.FILE}", markup=False, highlight=False, soft_wrap=True)
    return code


def _collect(
    options: argparse.Namespace, cases: Sequence[Case], folder: Path, console: Console
) -> None:
    path = folder / report.SETS_FILE
    loaded = options.load == "loaded"
    with TerminalProgress(console) as progress:
        if options.sets:
            amounts = _amounts(cases, table.read(path, SetRow), progress)
            progress.note(_injection_note(amounts))
            with _background_load(loaded), _launcher() as workers:
                sets.collect(
                    amounts,
                    options.sets,
                    workers,
                    progress,
                    load=options.load,
                    save=lambda rows: table.append(path, rows),
                )
        if options.gates and options.cells == "six":
            progress.phase("gates of six cells", options.gates)
            archs, modes = end_to_end.SIX_CELLS
            for _ in range(options.gates):
                with _background_load(loaded):
                    rows = end_to_end.run_gate(
                        archs=archs, modes=modes, load=options.load, percent=0.0, amount=0
                    )
                table.append(folder / report.GATES_FILE, rows)
                progress.advance(", ".join(row.verdict for row in rows))
        elif options.gates:
            amounts = _gate_amounts(options.load, table.read(path, SetRow), progress)
            progress.note(_injection_note(amounts))
            progress.phase("gates end to end", len(_GATE_IS_SAME[options.load]) * options.gates)
            for index in range(options.gates):
                case = _GATE_CASES[index % len(_GATE_CASES)]
                for is_same in _GATE_IS_SAME[options.load]:
                    with _background_load(loaded):
                        rows = end_to_end.run_gate(
                            modes=(case.mode,),
                            load=options.load,
                            percent=0.0 if is_same else case.percent,
                            amount=0 if is_same else amounts[case],
                        )
                    table.append(folder / report.GATES_FILE, rows)
                    progress.advance(f"{case.mode}: {', '.join(row.verdict for row in rows)}")


def _amounts(
    cases: Sequence[Case], earlier: Sequence[SetRow], progress: Progress
) -> Mapping[Case, int]:
    """Return the units of each case, from its earlier sets if it has any, else by calibration."""
    known = {row.case: row.amount for row in _current(earlier)}
    new = [case for case in cases if case not in known]
    calibrated: Mapping[Case, int] = {}
    if any(not case.is_same for case in new):
        progress.note("calibrating the injected slowdowns")
        with _launcher() as workers:
            calibrated = calibration.amounts(new, workers, progress)
    return {case: known.get(case, calibrated.get(case, 0)) for case in cases}


def _gate_amounts(load: str, earlier: Sequence[SetRow], progress: Progress) -> Mapping[Case, int]:
    """Return the units to inject into gates, interpolated from earlier sets or else calibrated."""
    if False not in _GATE_IS_SAME[load]:
        return {}
    interpolated = {case: calibration.from_sets(case, _current(earlier)) for case in _GATE_CASES}
    unknown = [case for case, amount in interpolated.items() if amount is None]
    amounts = {case: amount for case, amount in interpolated.items() if amount is not None}
    if unknown:
        amounts |= _amounts(unknown, (), progress)
    return amounts


def _injection_note(amounts: Mapping[Case, int]) -> str:
    parts = [f"{amount} × {case.kind} in {case.mode}" for case, amount in amounts.items()]
    return f"injected: {', '.join(parts) or 'nothing'}"


def _current(rows: Iterable[SetRow]) -> list[SetRow]:
    """Return the rows that were measured with the gate's present protocol."""
    return [row for row in rows if row.protocol == PROTOCOL]


def _background_load(loaded: bool) -> AbstractContextManager[None]:
    return competitor() if loaded else nullcontext()


def _describe_environment() -> Environment:
    """Return the environment in which workers start."""
    with _spawner() as spawner:
        worker = spawner.launch()
        description = worker.request(Describe(device="cpu"), limit_s=timeouts.SHORT_S)
        worker.close()
    return description


def _spawner() -> Launcher:
    return Spawner(pinned.for_workers(os.environ), cpus=cores.cpus_for_workers())


def _launcher() -> Launcher:
    return launcher(pinned.for_workers(os.environ), IMPORTS, cpus=cores.cpus_for_workers())


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.power",
        description="Run the gate on unchanged code and on code made slower, and write its error "
        f"rates to {report.FILE}. New sets and gates are added to earlier ones; without options, "
        "the report is written again from those.",
    )
    parser.add_argument("--sets", type=_count, default=0, metavar="N", help="collect N more sets")
    parser.add_argument(
        "--plan",
        default="sizes",
        help="what the sets inject: sizes (convolutions that cost 3, 5 and 10 %%), kinds (Python, "
        "graph breaks, one slow iteration in ten), or same (nothing, in three modes); default: "
        "sizes",
    )
    parser.add_argument(
        "--load",
        choices=("quiet", "loaded"),
        default="quiet",
        help="quiet: nothing else runs; loaded: another process uses two threads; default: quiet",
    )
    parser.add_argument(
        "--gates",
        type=_count,
        default=0,
        metavar="N",
        help="run N more gates of each kind end to end: A/A and 5 %% slower; only A/A if loaded",
    )
    parser.add_argument(
        "--cells",
        choices=("one", "six"),
        default="one",
        help="cells of each gate: one, or the six of the default gate on unchanged code; default: "
        "one",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="output folder (reports/<machine>)"
    )
    return parser
