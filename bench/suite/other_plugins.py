"""Check of the other plugins of a pytest session: some cannot be combined with the suite."""

import os

import pytest

from bench import optional

CODSPEED = "CODSPEED_ENV"
"""Environment variable with which pytest-codspeed is enabled, as by its option."""

_REPEATING = {"forked": "pytest-forked", "looponfail": "pytest-xdist"}
"""Options with which a plugin runs the items in processes of its own, and that plugin."""


def check(config: pytest.Config) -> None:
    """Raise ``UsageError`` if a library is missing, or another plugin disturbs the measurements.

    Such plugins run, replace or distribute the items.
    """
    lacking = optional.missing("measuring", ("pytest_benchmark", "torch", "torchvision"), "measure")
    if lacking:
        raise pytest.UsageError(lacking)
    # Either of --dist and --tx alone has no effect; -n sets both.
    is_distributed = config.getoption("dist", "no") != "no" and config.getoption("tx", None)
    if config.getoption("numprocesses", None) or is_distributed:
        raise pytest.UsageError(
            "pytest-xdist is enabled (-n, or --dist with --tx), but its processes would disturb "
            "the measurements of each other, which all cells make together: use -n 0, or measure "
            "in a run of its own"
        )
    for option, plugin in _REPEATING.items():
        if config.getoption(option, False):
            raise pytest.UsageError(
                f"--{option} is given, but with {plugin} other processes than this one run the "
                "cells, which are measured together: omit it, or measure in a run of its own"
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
