"""A fork server that all tests share, because it takes seconds to import torch."""

import os
from collections.abc import Iterator

import pytest

from bench.launch.launchers import ForkServer, Launcher
from bench.machine.environment import for_workers


@pytest.fixture(scope="session")
def fork_server(warm_python: str) -> Iterator[Launcher]:
    with ForkServer(for_workers(os.environ), python=warm_python) as server:
        yield server
