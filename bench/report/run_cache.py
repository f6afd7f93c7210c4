"""Once: what several parts of a report are made of is made once for each run."""

import functools
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

from bench.records.record import RunRecord

Made = TypeVar("Made")


def cached_per_run(make: Callable[[RunRecord], Made]) -> Callable[[RunRecord], Made]:
    """Have a function of a run keep what it makes with the run; of a frame, callers get copies."""
    name = f"{make.__module__}.{make.__qualname__}"

    @functools.wraps(make)
    def made(run: RunRecord) -> Made:
        if name not in run.made:
            run.made[name] = make(run)
        found: Made = run.made[name]
        return found.copy() if isinstance(found, pd.DataFrame) else found

    return made
