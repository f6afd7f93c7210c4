"""Hooks for all tests: state that processes inherit, markers, and skipping without a GPU."""

import contextlib
import functools
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cpuinfo
import pytest

from tests.warm.interpreter import warm

TESTS = Path(__file__).parent
WARM_PYTHON = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cold", action="store_true", help="start every process with the interpreter (tests/warm)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set what child processes inherit: the default handling of SIGINT, and no traces of xdist.

    A shell without job control starts background processes with SIGINT ignored. pytest-benchmark
    does not work in a session that considers itself a part of a distributed one.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # tests that import onnxruntime send no usage data
    # Each look-up takes 0.25 s and starts processes.
    cpuinfo.get_cpu_info = functools.cache(cpuinfo.get_cpu_info)
    os.environ.pop("COLUMNS", None)  # the width of the developer's terminal, or pytest-xdist's
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if getattr(config.option, "dist", "no") != "no" and not config.option.collectonly:
        program = _start_warm_python(config, after_imports=True)
        if program != sys.executable:
            forked = f"popen//python={shlex.quote(program)}"
            config.option.tx = [forked if each == "popen" else each for each in config.option.tx]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all processes of pytest-xdist use one server."""
    node.workerinput["warm_python"] = node.config.stash[WARM_PYTHON]


def _start_warm_python(config: pytest.Config, *, after_imports: bool = False) -> str:
    """Return the program that acts like the interpreter; its server ends with the session."""
    program = sys.executable
    if sys.platform == "linux" and not config.getoption("cold"):
        server = contextlib.ExitStack()
        config.add_cleanup(server.close)
        program = server.enter_context(warm(after_imports=after_imports))
    config.stash[WARM_PYTHON] = program
    return program


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a share of all test files, in each process of pytest-xdist another.

    pytest rewrites the assertions of a file that is imported, and caches the result, so that most
    of the other processes need not do that when they collect the file.
    """
    config = session.config
    if not hasattr(config, "workerinput") or config.args_source != config.ArgsSource.TESTPATHS:
        return
    first, count = int(config.workerinput["workerid"][2:]), config.workerinput["workercount"]
    for file in sorted(TESTS.rglob("test_*.py"))[first::count]:
        name = ".".join(file.relative_to(TESTS.parent).with_suffix("").parts)
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection will tell
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use the fork server, and skip tests that need a GPU if there is none.

    torch is imported only if there are tests that need a GPU. Files that start workers come first:
    they take longest, and pytest-xdist hands files out in this order.
    """
    for item in items:
        if "fork_server" in getattr(item, "fixturenames", ()):
            item.add_marker("workers")
    with_workers = {item.path for item in items if item.get_closest_marker("workers")}
    items.sort(key=lambda item: item.path not in with_workers)
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _workers_only_if_marked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make a test fail that starts a worker and is not marked ``workers``."""
    if request.node.get_closest_marker("workers"):
        return

    def refuse(_: object) -> None:
        pytest.fail("this test starts a worker process: mark it with pytest.mark.workers")

    monkeypatch.setattr("bench.launch.process.Streams.__init__", refuse)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Let each test draw the same random numbers in every run of the tests."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def warm_python(pytestconfig: pytest.Config) -> str:
    """A program that acts like the interpreter, with the libraries imported (tests/warm)."""
    given = getattr(pytestconfig, "workerinput", {}).get("warm_python")
    return given or _start_warm_python(pytestconfig)


@pytest.fixture(scope="module", autouse=True)
def _python(warm_python: str) -> Iterator[None]:
    """Let the tests start warm processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python)
        yield
