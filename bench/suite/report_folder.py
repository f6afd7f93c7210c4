"""The report folder: where a run's files go."""

from pathlib import Path

import pytest

from bench.atomic import check_folder
from bench.names import RequestError
from bench.suite import options


def of(config: pytest.Config, machine: str) -> Path:
    """Where the reports of a run on ``machine`` go."""
    given = config.getoption("--report-dir")
    if given:
        return Path(given)
    folder = config.rootpath / "reports" / machine
    return folder / "gate" if options.is_gate(config) else folder


def check(config: pytest.Config) -> None:
    """Refuse a report folder that cannot be written before anything is measured for it."""
    given = config.getoption("--report-dir")
    if given == "":
        raise RequestError("--report-dir is empty: name a folder, or leave it out")
    if given is not None:
        check_folder(Path(given))
