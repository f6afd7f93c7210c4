"""The command ``pick``: it chooses a network that keeps to limits, and measures what that takes."""

import argparse
import shlex
import textwrap
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import signals
from bench.api import project
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, declared, read_parsed, typed
from bench.api.pick_request import SHARED, PickRequest
from bench.archs import source_file
from bench.cli import report_folder
from bench.cli.command import Commands, Output, Purpose, show_examples
from bench.columns import filled
from bench.errors import RequestError
from bench.exits import Exit
from bench.tables import FORMATS, PROSE, escaped, terminal_console

if TYPE_CHECKING:
    from bench.api.pick import Result

EXAMPLES = """\
examples:
  the most accurate of torchvision's networks that answers within 20 ms:
    googlenet-bench pick --from 'torchvision:*' --max-latency 20ms --min-accuracy 75
  in two modes, with accuracies of your own, and with reports:
    googlenet-bench pick --from my_module:my_net,torchvision:resnet18 --max-latency 20ms \\
      --modes eager,channels_last --accuracy accuracies.csv --report-dir report

exit codes: 0 a network is picked; 1 none keeps to the limits; 2 the request is wrong, or the
measurement was interrupted; 3 too little was measured of a network that could be the choice, also
if a less accurate one is picked
"""


def add(commands: Commands) -> None:
    """Add the command."""
    pick = commands.add(
        "pick",
        _pick,
        "choose the most accurate network that is fast enough",
        Purpose.MEASURE,
        details="Drops networks by accuracy, parameters and multiply-accumulates, measures the "
        "rest for a short set, and then measures for longer those that may be the choice. "
        "The default is eager mode and batch 1.",
    )
    show_examples(pick, EXAMPLES)
    add_to_parser(pick, PickRequest)
    add_to_parser(pick, MeasureRequest, only=SHARED)


def _pick(options: argparse.Namespace) -> Output:
    request = read_parsed(PickRequest, options)
    given = vars(options)
    shared = read_parsed(
        MeasureRequest, argparse.Namespace(**{name: given[name] for name in SHARED})
    )
    named = replace(shared, archs=request.from_)
    completed = project.complete(named, Path.cwd(), only=("archs", *SHARED))
    # Imported here because other commands must run without these modules' dependencies.
    from bench.api import pick
    from bench.api.progress import TerminalProgress
    from bench.launch.process import WorkerError

    folder = request.report_dir
    if folder is not None:
        _check(folder)
    with signals.single_interrupt():
        try:
            with (
                source_file.looked_up_in(completed.folder),
                TerminalProgress(terminal_console(stderr=True)) as progress,
            ):
                result = pick.pick(request, completed.request, progress, command=_command(options))
        except KeyboardInterrupt:
            raise RequestError(_interrupted(folder)) from None
        except WorkerError as error:
            raise RequestError("\n".join(filter(None, [str(error), error.stderr]))) from error
        signals.ignore_interrupts()
        if folder is not None:
            result = _with_note_on_earlier(result, folder)
        written = () if folder is None else _written(result, folder)
        if not result.can_be_resumed:
            result.journals.delete()
    text = _text(result, options.format, written)
    return Output(text, exit_code=_exit_code(result))


def _interrupted(folder: Path | None) -> str:
    """Say what is left of a choice that was interrupted before any network was measured."""
    kept = (
        "nothing is kept without --report-dir"
        if folder is None
        else f"the counts until then are in {folder}, and --resume with the same options continues"
    )
    return f"interrupted before any result was available: {kept}"


def _check(folder: Path) -> None:
    from bench.pick import report

    report_folder.check(folder, table=report.CSV, page=report.MARKDOWN, title=report.TITLE)


def _with_note_on_earlier(result: "Result", folder: Path) -> "Result":
    """Add a sentence if nothing was measured, and the folder has the reports of an earlier run."""
    from bench.report import files

    is_empty = result.run is None or result.run.is_empty
    if not is_empty or not (folder / files.RUN_FILE).exists():
        return result
    sentence = (
        f"Nothing was measured: {files.RUN_FILE} and the reports beside it are those of an "
        "earlier run."
    )
    sentences = (*result.choice.sentences, sentence)
    return replace(result, choice=replace(result.choice, sentences=sentences))


def _written(result: "Result", folder: Path) -> tuple[Path, ...]:
    from bench.pick import report

    return report_folder.write(partial(report.write, result.choice), result.run, folder)


def _text(result: "Result", form: str, written: tuple[Path, ...]) -> str:
    """Return the table, and for people also the sentences, warnings and paths."""
    from bench.api.measured_run import warnings
    from bench.pick import report

    rows = report.frame(result.choice)
    table = FORMATS[form](filled(report.COLUMNS, rows), rows)
    if form not in PROSE:
        return table
    sentences = [*result.choice.sentences]
    if result.run is not None:
        sentences += warnings(result.run)
    if form == "markdown":
        return "\n\n".join([*map(escaped, sentences), table])
    width = terminal_console().width
    paths = "\n".join(f"wrote {path}" for path in written)
    return "\n\n".join(
        filter(None, [table, *(textwrap.fill(each, width=width) for each in sentences), paths])
    )


def _exit_code(result: "Result") -> Exit:
    if result.is_interrupted:
        return Exit.WRONG_REQUEST
    if not result.choice.is_decided:
        return Exit.UNDECIDED
    return Exit.FAILED if result.choice.picked is None else Exit.FINE


def _command(options: argparse.Namespace) -> str:
    """Return the command that repeats the choice, without the folder of its reports."""
    requests = {**declared(PickRequest), **{n: declared(MeasureRequest)[n] for n in SHARED}}
    return shlex.join(["googlenet-bench", "pick", *typed(options, requests)])
