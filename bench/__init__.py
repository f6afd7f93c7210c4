"""Measures networks, compares and reports: ``from bench import measure, judge, load``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api.judge import JudgedRun, judge
    from bench.api.measure import measure
    from bench.api.measured_run import MeasuredRun, load
    from bench.errors import RequestError

__version__ = "1.0.0"
__all__ = ["JudgedRun", "MeasuredRun", "RequestError", "judge", "load", "measure"]

# Imported on first use: workers and the command line import this package without pandas.
_HOMES = {
    "measure": "bench.api.measure",
    "judge": "bench.api.judge",
    "JudgedRun": "bench.api.judge",
    "MeasuredRun": "bench.api.measured_run",
    "load": "bench.api.measured_run",
    "RequestError": "bench.errors",
}


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name of the package."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
