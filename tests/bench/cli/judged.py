"""A pytest plugin: the session has judged a gate with the verdict of ``JUDGED``, untimed."""

import os

import pytest

from bench.suite.conftest import GATE
from tests.bench import runs
from tests.bench.gate import gates

VARIABLE = "JUDGED"  # the ratios of the gate, by their name in gates.py


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Put the gate where the fixture ``gate`` puts it."""
    ratios = getattr(gates, os.environ[VARIABLE])
    session.config.stash[GATE] = gates.gate({runs.EAGER: ratios})
