"""The report folder: where a run's files go."""

from pathlib import Path

import pytest

from bench.folders import check_writable
from bench.gate import files as gate_files
from bench.names import RequestError
from bench.report import files
from bench.suite import options


def resolve(config: pytest.Config, machine: str) -> Path:
    """Where the reports of a run on ``machine`` go."""
    given = config.getoption("--report-dir")
    if given:
        return Path(given)
    folder = config.rootpath / "reports" / machine
    return folder / "gate" if options.is_gate(config) else folder


def check(config: pytest.Config) -> None:
    """Refuse, before anything is measured, a folder that cannot be written, or has others' files.

    Raises ``RequestError``.
    """
    given = config.getoption("--report-dir")
    if given == "":
        raise RequestError("--report-dir is empty: name a folder, or leave it out")
    if given is not None:
        check_writable(Path(given))
        its = gate_files if options.is_gate(config) else files
        files.check_ours(Path(given), its.NAMES, its.MARKS)
