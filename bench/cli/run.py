"""The command ``run``: measures in any folder, as ``nox -s bench`` does in a checkout."""

import argparse
from collections.abc import Iterator

from bench.api.measure_request import MeasureRequest
from bench.api.option import add as add_options
from bench.api.option import declared, flag
from bench.cli import suite
from bench.cli.command import Commands, Output
from bench.names import RequestError

EXAMPLES = """\
examples:
  googlenet-bench run --profile quick
  googlenet-bench run --archs googlenet,torchvision:resnet18 --modes eager,compile
  googlenet-bench run --archs package.module:factory --batch-sizes 1,8 --report-dir report

Options of pytest, such as -k and --junitxml, are passed on.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    run = commands.add(
        "run",
        _run,
        "measure cells, and write the reports",
        passes_unknown=True,
    )
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    run.epilog = EXAMPLES
    add_options(run.add_argument_group("what to measure, and how").add_argument, MeasureRequest)


def _run(options: argparse.Namespace) -> Output:
    if options.format != "rich":
        raise RequestError(
            f"--format {options.format} does not apply to a run; measure first, then use "
            f"googlenet-bench report RUN --format {options.format}"
        )
    return Output("", exit_code=suite.run([*_given(options), *options.unknown]))


def _given(options: argparse.Namespace) -> Iterator[str]:
    """Yield the options that have a value, as they are typed."""
    for name, each in declared(MeasureRequest).items():
        value = getattr(options, name)
        if value is None or value == each.default:
            continue
        if isinstance(value, bool):
            yield flag(name) if value else flag(f"no_{name}")
        else:
            yield f"{flag(name)}={value}"
