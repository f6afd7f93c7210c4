"""The command line: ``googlenet-bench``. The only printer besides the pytest front."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench import __version__, archs, journal, modes, store
from bench.names import RequestError
from bench.outcome import Outcome
from bench.record import RunRecord
from bench.report import files, frame, summary
from bench.report.tables import FORMATS, Column, filled, scaled

WRONG_REQUEST = 2

COUNT = scaled(1, 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 for fine and 2 for a wrong request."""
    options = _parser().parse_args(arguments)
    sys.path.insert(0, str(Path.cwd()))  # where package.module:factory is looked for, as by -m
    # torchvision decorates functions with it at import; a user can do nothing about it.
    warnings.filterwarnings("ignore", "`torch.jit.script.*` is deprecated")
    try:
        output: str = options.command(options)
    except RequestError as error:
        print(f"googlenet-bench: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except ModuleNotFoundError as error:
        print(
            f"googlenet-bench: this command needs {error.name}, which is not installed; "
            "install it with: pip install 'googlenet-bench[measure]'",
            file=sys.stderr,
        )
        return WRONG_REQUEST
    try:
        print(output, flush=True)
    except BrokenPipeError:  # `googlenet-bench … | head`
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="googlenet-bench",
        description="GoogLeNet beside torchvision's and its variants: what each costs, and reports "
        "of what was measured. Measuring itself is `nox -s bench`, or `pytest bench/suite`.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    _add(commands, "archs", _archs, "list the registered networks, and what tells them apart")
    _add(commands, "modes", _modes, "list the words that a mode is made of")

    cost = _add(commands, "cost", _cost, "count parameters, MACs, FLOPs and activations")
    cost.add_argument(
        "arch",
        nargs="+",
        metavar="ARCH",
        help="a registered name, torchvision:NAME, or package.module:factory",
    )
    cost.add_argument(
        "--image-size", type=int, default=224, metavar="PIXELS", help="height and width (224)"
    )
    cost.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    cost.add_argument(
        "--stages", action="store_true", help="one row for each stage, instead of one for each arch"
    )

    table1 = _add(commands, "table1", _table1, "put a network's counts beside the paper's Table 1")
    table1.add_argument("arch", nargs="?", default="googlenet", metavar="ARCH", help="(googlenet)")

    report = _add(
        commands, "report", _report, "make a run's reports again from its run file, without torch"
    )
    report.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN",
        help=f"run files (.json), or journals of runs that were cut off ({journal.SUFFIX})",
    )
    report.add_argument(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help="write report.md, summary.csv and samples.csv there, instead of beside the run file",
    )
    return parser


def _add(
    commands: Any, name: str, command: Callable[[argparse.Namespace], str], help_text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + "."
    )
    parser.add_argument(
        "--format", choices=tuple(FORMATS), default="rich", help="how tables are printed (rich)"
    )
    parser.set_defaults(command=command)
    return parser


def _archs(options: argparse.Namespace) -> str:
    rows = [
        {"arch": arch.name, "what": arch.what, "source": arch.source} for arch in archs.registered()
    ]
    columns = tuple(
        Column(name=name, heading=name, is_text=True, wraps=name != "arch")
        for name in ("arch", "what", "source")
    )
    return FORMATS[options.format](columns, pd.DataFrame(rows))


def _modes(options: argparse.Namespace) -> str:
    rows = [
        {"token": token.name, "kind": token.kind.name.lower(), "what": token.what}
        for token in modes.TOKENS.values()
    ]
    columns = tuple(
        Column(name=name, heading=name, is_text=True, wraps=name == "what")
        for name in ("token", "kind", "what")
    )
    return FORMATS[options.format](columns, pd.DataFrame(rows))


COST_COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="stage", heading="stage", is_text=True),
    Column(name="params", heading="params", write=COUNT),
    Column(name="params_with_aux", heading="params with aux", write=COUNT),
    Column(name="macs", heading="MACs", write=COUNT),
    Column(name="flops", heading="FLOPs", write=COUNT),
    Column(name="fvcore_total", heading="fvcore total", write=COUNT),
    Column(name="activations", heading="activations", write=COUNT),
)


def _cost(options: argparse.Namespace) -> str:
    if options.batch_size < 1 or options.image_size < 1:
        raise RequestError("--batch-size and --image-size must be at least 1")
    found = [archs.find(name) for name in options.arch]
    rows: list[dict[str, Any]] = []
    for arch in found:
        counted = _count(arch, options.image_size, options.batch_size)
        at = {"image_size": counted.image_size, "batch_size": counted.batch_size}
        whole = {"params_with_aux": counted.params_with_aux}
        parts: Sequence[Any] = counted.stages if options.stages else (counted,)
        rows += [
            {
                "arch": arch.name,
                **({"stage": part.name} if options.stages else {}),
                **at,
                "params": part.params,
                **({} if options.stages else whole),
                "macs": part.macs,
                "flops": part.flops,
                "fvcore_total": part.fvcore_total,
                "activations": part.activations,
            }
            for part in parts
        ]
    table = pd.DataFrame(rows)
    return FORMATS[options.format](filled(COST_COLUMNS, table), table)


TABLE1_COLUMNS = (
    Column(name="row", heading="row", is_text=True),
    Column(name="weights", heading="weights", write=COUNT),
    Column(name="paper_params", heading="paper's params", is_text=True),
    Column(name="params_agree", heading="agree", write=lambda agree: "yes" if agree else "NO"),
    Column(name="macs", heading="MACs", write=COUNT),
    Column(name="paper_ops", heading="paper's ops", is_text=True),
    Column(name="ops_agree", heading="agree", write=lambda agree: "yes" if agree else "NO"),
    Column(name="reason", heading="why not", is_text=True, wraps=True),
)


def _table1(options: argparse.Namespace) -> str:
    from googlenet import table1

    counted = _count(archs.find(options.arch), 224, 1)
    try:
        compared = table1.compare(
            weights={stage.name: stage.weights for stage in counted.stages},
            macs={stage.name: stage.macs for stage in counted.stages},
        )
    except ValueError as error:
        raise RequestError(f"{options.arch}: {error}") from error
    rows = [
        {
            "row": found.row.name,
            "weights": found.weights,
            "paper_params": found.row.params,
            "params_agree": found.params_agree,
            "macs": found.macs,
            "paper_ops": found.row.ops,
            "ops_agree": found.ops_agree,
            "reason": found.reason,
        }
        for found in compared
    ]
    return FORMATS[options.format](TABLE1_COLUMNS, pd.DataFrame(rows))


def _count(arch: archs.Arch, image_size: int, batch_size: int) -> Any:
    from bench import cost

    try:
        return cost.count(arch, image_size=image_size, batch_size=batch_size)
    except (ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise RequestError(f"{arch.name} at {image_size}×{image_size}: {first}") from error


def _recorded(path: Path) -> RunRecord:
    """The run in a run file, or what a journal tells of one."""
    if path.suffix != journal.SUFFIX:
        return store.read(path)
    return Outcome.of(journal.read(path)).run_record(machine_info={}, commit_info={})


def _report(options: argparse.Namespace) -> str:
    if options.report_dir is not None and len(options.run) > 1:
        raise RequestError("--report-dir takes one run file, or the reports would overwrite")
    lines = []
    for path in options.run:
        run = _recorded(path)
        folder = options.report_dir or path.parent
        if options.format == "rich":
            for title, rows in summary.groups(run):
                shown = summary.shown_columns(run, rows)
                lines += [title, FORMATS["rich"](shown, rows)]
        else:
            rows = frame.summary(run)
            lines.append(FORMATS[options.format](summary.shown_columns(run, rows), rows))
        try:
            written = files.write(run, folder)
        except OSError as error:
            raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
        if options.format == "rich":
            lines += [f"wrote {file}" for file in written]
    return "\n".join(lines)
