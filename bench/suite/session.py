"""The request of a pytest session; its configuration is read only here."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import pyproject
from bench.api import gate_request, planning, project
from bench.api.gate_options import GateOptions
from bench.api.gate_request import GateRequest
from bench.api.measure_request import MeasureRequest
from bench.api.option import read
from bench.api.report_folder import ReportFolder
from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.gate import checkouts
from bench.pyproject import FILE

_OUTPUT_OPTIONS = ("--report-dir", "--junitxml", "--junit-xml", "--basetemp", "--benchmark-json")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """What a pytest session measures or judges, and where it writes the files."""

    measure: MeasureRequest
    plan: Plan
    """The plan, before pytest deselects any cell."""
    gate: GateRequest | None
    """None if the session measures without judging."""
    files: Path
    """The folder in which relative files and modules of networks are looked up; not of a gate."""
    folder: ReportFolder
    is_beside_tests: bool = False
    """Whether the cells are measured in a session with a project's own tests."""


REQUEST = pytest.StashKey[SessionRequest]()
COMMAND = pytest.StashKey[str]()
"""The command that repeats the run, if it was not typed as pytest's."""


def make_request(config: pytest.Config) -> SessionRequest:
    """Return the request that the options describe; raise ``RequestError`` if it is invalid."""
    invoked = config.invocation_params
    repeat = config.stash.get(COMMAND, None) or command(list(map(str, invoked.args)))
    measure = read(MeasureRequest, config.getoption)
    options = read(GateOptions, config.getoption)
    gate = (
        gate_request.make_request(measure, options, invoked.dir, command=repeat)
        if options.asks_for_gate
        else None
    )
    if gate is not None:  # before the session starts
        checkouts.check(gate.folder, base=gate.base, base_python=gate.base_python)
    folder = ReportFolder(
        chosen=None if measure.report_dir is None else Path(measure.report_dir),
        root=config.rootpath,
        is_gate=gate is not None,
    )
    files = invoked.dir
    if gate is None:
        completed = project.complete(measure, invoked.dir)
        measure, files = completed.request, completed.folder
    plan = gate.plan if gate else planning.make_plan(measure, command=repeat)
    folder.check()
    return SessionRequest(measure=measure, plan=plan, gate=gate, files=files, folder=folder)


def project_request(config: pytest.Config) -> SessionRequest:
    """Return the request that the project's settings describe, whatever the options are.

    Raises ``RequestError`` if they are invalid, or name no archs.
    """
    invoked = config.invocation_params
    root = pyproject.root(invoked.dir)
    settings = project.read(root)
    if settings.archs is None:
        raise RequestError(
            f"--googlenet-bench measures the archs of {pyproject.heading()} in {root / FILE}, "
            "which names none"
        )
    measure = project.fill(MeasureRequest(), settings)
    repeat = command([str(argument) for argument in invoked.args])
    return SessionRequest(
        measure=measure,
        plan=planning.make_plan(measure, command=repeat),
        gate=None,
        files=root,
        folder=ReportFolder(chosen=None, root=config.rootpath),
        is_beside_tests=True,
    )


def command(arguments: Sequence[str], program: Sequence[str] = ("pytest",)) -> str:
    """Return the command that repeats the run, without options that name output files."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(*_OUTPUT_OPTIONS)
    _, remaining = parser.parse_known_args(list(arguments))
    return shlex.join([*program, *remaining])
