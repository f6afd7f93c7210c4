"""The command ``doctor``: it inspects the machine and measures nothing."""

import argparse
from dataclasses import asdict

import pandas as pd

from bench.cells import plan_values
from bench.cli.command import Commands, Output, Purpose
from bench.columns import Column
from bench.exits import Exit
from bench.tables import FORMATS, PROSE

COLUMNS = tuple(
    Column(name=name, heading=name, is_text=True, wraps=name in {"found", "advice"})
    for name in ("what", "found", "state", "advice")
)


def add(commands: Commands) -> None:
    """Add the command."""
    doctor = commands.add(
        "doctor",
        _doctor,
        "check whether this machine can measure, and what disturbs it",
        Purpose.PREPARE,
    )
    doctor.add_argument(
        "--device", help="cpu, cuda, cuda:N or cuda:all (default: cuda if available)"
    )


def _doctor(options: argparse.Namespace) -> Output:
    from bench.doctor import examine, host
    from bench.doctor.finding import Severity

    findings = examine.examine(plan_values.device(options.device, several=True))
    text = FORMATS[options.format](COLUMNS, pd.DataFrame(map(asdict, findings)))
    prevented = any(finding.state is Severity.PREVENTS for finding in findings)
    verdict = host.verdict(findings)
    if options.format in PROSE:
        text = f"{text}\n\n{verdict}"
    errors = () if options.format in PROSE else (verdict,)
    return Output(text, Exit.FAILED if prevented else Exit.FINE, errors)
