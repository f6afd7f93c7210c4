"""The command ``run``: measures in any folder, as ``nox -s bench`` does in a checkout."""

import argparse
from collections.abc import Iterator

from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, declared, flag
from bench.cli import suite
from bench.cli.command import Commands, Output, Purpose, add_format
from bench.errors import RequestError

EXAMPLES = """\
examples:
  a first look:
    googlenet-bench run --profile quick
  two networks, with and without torch.compile:
    googlenet-bench run --archs googlenet,torchvision:resnet18 --modes eager,compile
  your own network, from mynet.py in the current folder:
    googlenet-bench run --archs mynet:build,torchvision:resnet18 --report-dir report
  training, in two dtypes and at two batch sizes:
    googlenet-bench run --tasks train --dtypes fp32,bf16 --batch-sizes 1,8
  ratios to within 1 %, in about ten minutes:
    googlenet-bench run --precision 0.01 --budget 600

Options of pytest, such as -k and --junitxml, are passed on.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    run = commands.add(
        "run",
        _run,
        "measure networks, and write the reports",
        Purpose.MEASURE,
        passes_unknown=True,
        has_tables=False,
    )
    add_format(run, argparse.SUPPRESS)  # only to say which command has it
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    run.epilog = EXAMPLES
    add_to_parser(run, MeasureRequest)


def _run(options: argparse.Namespace) -> Output:
    if options.format != "rich":
        raise RequestError(
            f"--format {options.format} does not apply to a run; measure first, then use "
            f"googlenet-bench report RUN --format {options.format}"
        )
    return Output("", exit_code=suite.run("run", [*_given(options), *options.unknown]))


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
