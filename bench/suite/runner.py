"""Check of the other plugins of a pytest session: some cannot be combined with the suite."""

import os

import pytest

CODSPEED = "CODSPEED_ENV"
"""Environment variable with which pytest-codspeed is enabled, as by its option."""


def check(config: pytest.Config) -> None:
    """Raise ``UsageError`` beside plugins that run, replace or distribute what is measured."""
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "pytest-xdist is enabled (-n or --dist), but its processes would disturb each other's "
            "measurements, which all cells make together: use -n 0, or measure in a run of its own"
        )
    has_codspeed = config.getoption("codspeed", None) is not None
    if has_codspeed and (config.getoption("codspeed") or CODSPEED in os.environ):
        raise pytest.UsageError(
            f"pytest-codspeed is enabled (--codspeed or {CODSPEED}), but it replaces the fixture "
            "that reports the cells: omit it, or measure in a run of its own"
        )
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "the plugin of pytest-benchmark is disabled or replaced, but it reports the cells: "
            "enable it, or use `googlenet-bench run` in an environment that has it"
        )
