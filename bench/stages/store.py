"""``stages.csv``: a network's parts with their figures, a row each; needs no torch."""

from pathlib import Path

import pandas as pd

from bench.atomic import write_text
from bench.errors import first_line
from bench.names import RequestError
from bench.tables import csv_safe

FILE = "stages.csv"
# Told since 2026-11: of a file written before, they are empty.
CIRCUMSTANCES = ("device_name", "torch", "measured_at")
TEXT = ("arch", "mode", "dtype", "device", "stage", "branch", *CIRCUMSTANCES)
COUNTS = ("batch_size", "image_size", "macs", "sets")
COLUMNS = (
    *("arch", "mode", "dtype", "batch_size", "image_size", "device"),
    *("stage", "branch"),  # the branch is empty for the stage itself, for the whole and the gap
    *("macs", "macs_share", "paper_macs_per_image"),
    *("latency_s", "latency_s_low", "latency_s_high"),
    *("latency_share", "latency_share_low", "latency_share_high"),
    *("gmacs_per_s", "hook_cost_s", "sets"),
    *CIRCUMSTANCES,
)


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Write the file, in place of one that is there; its path. Raises ``OSError``."""
    path = folder / FILE
    write_text(path, csv_safe(frame[list(COLUMNS)]).to_csv(index=False))
    return path


def read(path: Path) -> pd.DataFrame:
    """The rows of a file; raises ``RequestError`` where it is no such table."""
    figures = [name for name in COLUMNS if name not in {*TEXT, *COUNTS}]
    try:
        found = pd.read_csv(
            path,
            dtype={
                **dict.fromkeys(TEXT, "str"),
                **dict.fromkeys(COUNTS, "int64"),
                **dict.fromkeys(figures, "float64"),
            },
            # An empty branch is a name; an empty figure is one that there is not.
            keep_default_na=False,
            na_values={name: [""] for name in figures},
        )
    except (OSError, ValueError) as error:
        first = first_line(str(error)) or type(error).__name__
        raise RequestError(f"cannot read {path}: {first}") from error
    if tuple(found.columns) == COLUMNS[: -len(CIRCUMSTANCES)]:
        found = found.assign(**dict.fromkeys(CIRCUMSTANCES, ""))
    if tuple(found.columns) != COLUMNS:
        raise RequestError(
            f"{path} is no table of stages: its columns are {', '.join(found.columns)} where "
            f"{', '.join(COLUMNS)} were expected"
        )
    return found
