"""What all tests share, because it takes seconds to start: a fork server, and a browser."""

import os
from collections.abc import Iterator

import pytest

from bench.launch.launchers import ForkServer, Launcher
from bench.machine.pinned import for_workers
from tests.bench.browser import browser, opened

__all__ = ["browser", "opened"]


@pytest.fixture(scope="session")
def fork_server(warm_python: str) -> Iterator[Launcher]:
    with ForkServer(for_workers(os.environ), python=warm_python) as server:
        yield server
