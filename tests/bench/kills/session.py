"""A session of the suite in its own process, with workers that do no work.

Charts are not drawn, because they would take longer than everything else.
"""

import faulthandler
import os
import resource
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from bench.engine.local import resources
from bench.launch.launchers import ForkServer, Launcher
from bench.report import charts, page  # noqa: F401 - imported once for all sessions
from bench.report.charts import style
from bench.report.page import vega
from bench.suite import conftest, test_cells  # noqa: F401 - imported once for all sessions

HANGS_S = 60.0  # a session that takes longer prints its stack


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: Path,
    disk_bytes: int | None,
) -> None:
    """Run ``pytest ARGUMENTS`` with its output in a file; no file may exceed ``disk_bytes``."""
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.dump_traceback_later(HANGS_S)  # to show where a session hangs
    os.environ.update(environment)
    vars(resources)["launcher"] = _idle
    vars(style)["svg"] = lambda _: "<svg/>"
    vars(vega)["bundled"] = lambda _: ""
    if disk_bytes is not None:
        # Python treats a truncated compiled file as complete, and every later import of it fails.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk_bytes, hard))
    sys.exit(int(pytest.main(list(arguments))))


def _idle(
    environment: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None,
    *,
    ahead: int,
    module: str,
) -> Launcher:
    del imports, cpus, module
    return ForkServer(environment, python=os.environ["KILLS_PYTHON"], ahead=ahead)
