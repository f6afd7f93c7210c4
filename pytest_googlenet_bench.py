"""The pytest plugin: ``pytest --googlenet-bench`` measures a project's cells beside its tests.

It is an entry point, so pytest imports it in every project. Without the option it imports nothing
of the suite: not even the package ``bench``, because the project may have one of that name.
"""

import sys
from pathlib import Path

import pytest

OPTION = "--googlenet-bench"
FOLDER = Path(__file__).resolve().parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the only option that this plugin has without being asked for."""
    parser.getgroup("googlenet-bench").addoption(
        OPTION,
        action="store_true",
        help="also measure the networks of [tool.googlenet-bench] in pyproject.toml, one item per "
        "cell; `googlenet-bench run` has options for this",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse ``--looponfail``: pytest-xdist begins its loop before ``pytest_configure``."""
    if config.getoption(OPTION) and config.getoption("looponfail", False):
        raise pytest.UsageError(
            "--looponfail is given, but with pytest-xdist other processes than this one run the "
            "cells, which are measured together: omit it, or measure in a run of its own"
        )


def pytest_configure(config: pytest.Config) -> None:
    """With the option, add the suite's items; raise ``UsageError`` if they cannot be measured."""
    if not config.getoption(OPTION):
        return
    sys.path.insert(0, str(FOLDER))
    import bench

    sys.path.remove(str(FOLDER))
    if Path(bench.__file__).resolve().parent.parent != FOLDER:
        raise pytest.UsageError(
            f"{OPTION} cannot be used here, because {bench.__file__} has the name of one of its "
            "packages and is already imported; use `googlenet-bench run` instead"
        )
    from bench.suite import other_plugins

    other_plugins.check(config)
    from bench.suite import beside  # it imports the libraries that were checked

    beside.add(config)
