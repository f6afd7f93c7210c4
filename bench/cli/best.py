"""The command ``best``: it finds the fastest way to run a network, and prints the program."""

import argparse
import shlex
import textwrap
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import signals
from bench.api import project
from bench.api.best_request import SHARED, BestRequest
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, declared, read_parsed, typed
from bench.archs import HOW_TO_NAME, source_file
from bench.cli import project_archs, report_folder
from bench.cli.command import Commands, Output, Purpose, show_examples
from bench.columns import filled
from bench.errors import RequestError
from bench.exits import Exit
from bench.tables import FORMATS, PROSE, escaped, terminal_console

if TYPE_CHECKING:
    from bench.api.tournament import Tournament

EXAMPLES = """\
examples:
  the fastest mode for one image, in at most five minutes:
    googlenet-bench best torchvision:resnet18 --budget 300
  also in bf16 if it changes the answers by at most 5 %, for two batch sizes:
    googlenet-bench best torchvision:resnet18 --batch-sizes 1,16 --dtypes fp32,bf16 \\
      --max-error 0.05 --report-dir report
  only between these modes:
    googlenet-bench best my_module:my_net --modes eager,channels_last,compile

exit codes: 0 each batch size has a winner; 1 all candidates of one failed; 2 the request is wrong,
or the measurement was interrupted; 3 not decided: there was no time for the final run, or another
mode may be faster than the winner by more than 5 %
"""


def add(commands: Commands) -> None:
    """Add the command."""
    best = commands.add(
        "best",
        _best,
        "find the fastest mode for a network, and the code that uses it",
        Purpose.MEASURE,
        details="A tournament: measures every executor and rewrite that runs here for a short "
        "set, then combinations of the fastest, and then the finalists for longer. The default is "
        "fp32 and batch 1. Eager in fp32 always takes part.",
    )
    show_examples(best, EXAMPLES)
    best.add_argument("arch", metavar="ARCH", help=f"the network: {HOW_TO_NAME}")
    add_to_parser(best, BestRequest)
    add_to_parser(best, MeasureRequest, only=SHARED)


def _best(options: argparse.Namespace) -> Output:
    request = read_parsed(BestRequest, options)
    given = vars(options)
    shared = read_parsed(
        MeasureRequest, argparse.Namespace(**{name: given[name] for name in SHARED})
    )
    named = replace(shared, archs=(options.arch,))
    completed = project.complete(
        named, Path.cwd(), only=("archs", *project_archs.SHARED, "foreign_cpus")
    )
    # Imported here because other commands must run without these modules' dependencies.
    from bench.api import best
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
                found = best.best(
                    options.arch, request, completed.request, progress, command=_command(options)
                )
        except KeyboardInterrupt:
            raise RequestError("interrupted before any result was available") from None
        except WorkerError as error:
            raise RequestError("\n".join(filter(None, [str(error), error.stderr]))) from error
        signals.ignore_interrupts()
        written = () if folder is None else _written(found, folder)
    return Output(_text(found, options.format, written), exit_code=_exit_code(found))


def _check(folder: Path) -> None:
    from bench.best import report

    report_folder.check(folder, table=report.CSV, page=report.MARKDOWN, title=report.TITLE)


def _written(found: "Tournament", folder: Path) -> tuple[Path, ...]:
    from bench.best import report

    return report_folder.write(
        partial(report.write, found.result, found.programs), found.run, folder
    )


def _text(found: "Tournament", form: str, written: tuple[Path, ...]) -> str:
    """Return the table, and for people also the sentences, warnings, programs and paths."""
    from bench.api.measured_run import warnings
    from bench.best import report
    from bench.report.formats.markdown import fenced

    rows = report.frame(found.result)
    table = FORMATS[form](filled(report.COLUMNS, rows), rows)
    if form not in PROSE:
        return table
    sentences = [*report.sentences(found.result)]
    if found.run is not None:
        sentences += warnings(found.run)
    if form == "markdown":
        programs = [fenced(text.rstrip(), "python") for text in found.programs.values()]
        return "\n\n".join([*map(escaped, sentences), table, *programs])
    width = terminal_console().width
    programs = [
        f"# ---- the program for batch {batch_size} ----\n{text.rstrip()}"
        for batch_size, text in found.programs.items()
    ]
    filled_sentences = (textwrap.fill(each, width=width) for each in sentences)
    paths = "\n".join(f"wrote {path}" for path in written)
    return "\n\n".join(filter(None, [table, *filled_sentences, *programs, paths]))


def _exit_code(found: "Tournament") -> Exit:
    decisions = found.result.decisions
    if found.is_interrupted:
        return Exit.WRONG_REQUEST
    if all(each.is_decided for each in decisions):
        return Exit.FINE if all(each.winner for each in decisions) else Exit.FAILED
    return Exit.UNDECIDED


def _command(options: argparse.Namespace) -> str:
    """Return the command that repeats the tournament, without the folder of its reports."""
    requests = {**declared(BestRequest), **{n: declared(MeasureRequest)[n] for n in SHARED}}
    return shlex.join(["googlenet-bench", "best", options.arch, *typed(options, requests)])
