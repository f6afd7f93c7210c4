"""The report folder, to which a run's files are written."""

from pathlib import Path

import pytest

from bench.folders import check_writable
from bench.gate import files as gate_files
from bench.names import RequestError
from bench.report import files
from bench.suite import options


def resolve(config: pytest.Config, machine: str) -> Path:
    """Return the report folder of a run on ``machine``."""
    chosen = config.getoption("--report-dir")
    if chosen:
        return Path(chosen)
    folder = config.rootpath / "reports" / machine
    return folder / "gate" if options.is_gate(config) else folder


def check(config: pytest.Config) -> None:
    """Check the report folder before anything is measured.

    Raises ``RequestError`` if it is not writable, or if it has files that a run would replace and
    did not write.
    """
    chosen = config.getoption("--report-dir")
    if chosen == "":
        raise RequestError("--report-dir is empty: name a folder, or omit the option")
    if chosen is not None:
        check_writable(Path(chosen))
        writer = gate_files if options.is_gate(config) else files
        files.check_replaceable(Path(chosen), writer.names(), writer.marks())
