"""Cache for values derived from a run, so that several sections can share them."""

import functools
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

from bench.records.record import RunRecord

Value = TypeVar("Value")


def cached_per_run(compute: Callable[[RunRecord], Value]) -> Callable[[RunRecord], Value]:
    """Decorate a function of a run to store its result with the run.

    If the result is a data frame, callers get copies.
    """
    name = f"{compute.__module__}.{compute.__qualname__}"

    @functools.wraps(compute)
    def cached(run: RunRecord) -> Value:
        if name not in run.derived:
            run.derived[name] = compute(run)
        value: Value = run.derived[name]
        return value.copy() if isinstance(value, pd.DataFrame) else value

    return cached
