"""``python -m bench.power``: collect what the gate's error rates are counted from, and count them.

What was collected before is kept, and added to: figures grow over days.
"""

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

from rich.console import Console

from bench.atomic import write_text
from bench.engine import timeouts
from bench.engine.context import Progress
from bench.engine.launch import Launcher, Spawner, launcher
from bench.engine.process import WorkerError
from bench.exits import Exit
from bench.gate.judge import Settings
from bench.machine import environment
from bench.names import RequestError, choose
from bench.power import calibration, end_to_end, report, sets, table
from bench.power.cases import PLANS, PROTOCOL, Case
from bench.power.end_to_end import GateRow
from bench.power.load import competitor
from bench.power.sets import SetRow
from bench.suite.progress import TerminalProgress
from bench.tables import terminal_console

# Of the gates that are held end to end, in turn: a mode, and what is injected into head.
_HELD_CASES = tuple(
    Case(mode=mode, kind="conv", percent=5.0) for mode in ("eager", "channels_last")
)
_HELD = {"quiet": (True, False), "loaded": (True,)}  # by the machine: whether they are A/A
IMPORTS = ("torchvision", "bench.worker.preload")


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect, count and write; 2 where that cannot be done, what was collected being kept."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    code = Exit.FINE
    try:
        about = _described()
        machine = environment.machine_slug(about)
        folder = options.report_dir or Path("reports") / machine
        try:
            _collect(options, folder, console)
        except KeyboardInterrupt:
            console.print("gate_power: interrupted; what was collected is kept")
            code = Exit.WRONG_REQUEST
        page = report.render(
            str(about["device_name"]),
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


def _collect(options: argparse.Namespace, folder: Path, console: Console) -> None:
    path = folder / report.SETS_FILE
    cases = choose("plan", options.plan, PLANS)
    loaded = options.load == "loaded"
    with TerminalProgress(console) as progress:
        if options.sets:
            amounts = _amounts(cases, table.read(path, SetRow), progress)
            progress.note(_injected(amounts))
            with _competing(loaded), _launcher() as workers:
                sets.collect(
                    amounts,
                    options.sets,
                    workers,
                    progress,
                    load=options.load,
                    keep=lambda rows: table.append(path, rows),
                )
        if options.gates and options.cells == "six":
            progress.phase("gates of six cells", options.gates)
            archs, modes = end_to_end.SIX_CELLS
            for _ in range(options.gates):
                with _competing(loaded):
                    rows = end_to_end.run_gate(
                        archs=archs, modes=modes, load=options.load, percent=0.0, amount=0
                    )
                table.append(folder / report.GATES_FILE, rows)
                progress.advance(", ".join(row.verdict for row in rows))
        elif options.gates:
            amounts = _held_amounts(options.load, table.read(path, SetRow), progress)
            progress.note(_injected(amounts))
            progress.phase("gates end to end", len(_HELD[options.load]) * options.gates)
            for index in range(options.gates):
                case = _HELD_CASES[index % len(_HELD_CASES)]
                for is_same in _HELD[options.load]:
                    with _competing(loaded):
                        rows = end_to_end.run_gate(
                            modes=(case.mode,),
                            load=options.load,
                            percent=0.0 if is_same else case.percent,
                            amount=0 if is_same else amounts[case],
                        )
                    table.append(folder / report.GATES_FILE, rows)
                    progress.advance(f"{case.mode}: {', '.join(row.verdict for row in rows)}")


def _amounts(
    cases: Sequence[Case], before: Sequence[SetRow], progress: Progress
) -> Mapping[Case, int]:
    """Units of each case: those of the sets that are there already, if these add up with them."""
    known = {row.case: row.amount for row in _of_now(before)}
    new = [case for case in cases if case not in known]
    found: Mapping[Case, int] = {}
    if any(not case.is_same for case in new):
        progress.note("calibrating what is injected")
        with _launcher() as workers:
            found = calibration.amounts(new, workers, progress)
    return {case: known.get(case, found.get(case, 0)) for case in cases}


def _held_amounts(load: str, before: Sequence[SetRow], progress: Progress) -> Mapping[Case, int]:
    """Units of what slows gates down: by the sets there are, which tell what theirs took."""
    if False not in _HELD[load]:
        return {}
    told = {case: calibration.of_sets(case, _of_now(before)) for case in _HELD_CASES}
    unknown = [case for case, amount in told.items() if amount is None]
    amounts = {case: amount for case, amount in told.items() if amount is not None}
    if unknown:
        amounts |= _amounts(unknown, (), progress)
    return amounts


def _injected(amounts: Mapping[Case, int]) -> str:
    parts = [f"{amount} of {case.kind} in {case.mode}" for case, amount in amounts.items()]
    return f"injected: {', '.join(parts) or 'nothing'}"


def _of_now(rows: Iterable[SetRow]) -> list[SetRow]:
    """Those of sets that were measured as the gate measures now."""
    return [row for row in rows if row.protocol == PROTOCOL]


def _competing(loaded: bool) -> AbstractContextManager[None]:
    return competitor() if loaded else nullcontext()


def _described() -> dict[str, object]:
    """The environment that workers are started in."""
    with _spawned() as spawner:
        clerk = spawner.launch()
        about = clerk.request("describe", limit_s=timeouts.SHORT_S, device="cpu")
        clerk.close()
    return cast("dict[str, object]", about)


def _spawned() -> Launcher:
    return Spawner(environment.for_workers(os.environ), cpus=environment.cpus_for_workers())


def _launcher() -> Launcher:
    return launcher(
        environment.for_workers(os.environ), IMPORTS, cpus=environment.cpus_for_workers()
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a number of 0 or more is expected, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.power",
        description="Run the gate on code that did not change and on code that did, and publish "
        f"how often it was right in {report.FILE}. What was collected before is added to; without "
        "an option the report is written anew from it.",
    )
    parser.add_argument(
        "--sets", type=_count, default=0, metavar="N", help="collect so many sets more"
    )
    parser.add_argument(
        "--plan",
        default="sizes",
        help="what is injected in them: sizes (3, 5 and 10 %% of convolutions), kinds (Python, "
        "graph breaks, one slow iteration in ten), or same (nothing, in three modes)",
    )
    parser.add_argument(
        "--load",
        choices=("quiet", "loaded"),
        default="quiet",
        help="beside nothing, or beside a process on two threads",
    )
    parser.add_argument(
        "--gates",
        type=_count,
        default=0,
        metavar="N",
        help="hold so many gates more of each kind, end to end: A/A and 5 %% slower; loaded, A/A",
    )
    parser.add_argument(
        "--cells",
        choices=("one", "six"),
        default="one",
        help="of each of these gates: one, or the six of a gate without options, of unchanged code",
    )
    parser.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="where it goes (reports/<machine>)"
    )
    return parser
