"""``stages.csv``: one row for each part of a network, with its figures. Needs no torch."""

from pathlib import Path

import pandas as pd

from bench.atomic import write_text
from bench.error_text import first_line
from bench.errors import RequestError
from bench.tables import csv_safe

FILE = "stages.csv"
# Written since 2026-11; empty when an older file is read.
PROVENANCE = ("device_name", "torch", "measured_at")
TEXT = ("arch", "mode", "dtype", "device", "stage", "branch", *PROVENANCE)
COUNTS = ("batch_size", "image_size", "macs", "sets")
COLUMNS = (
    *("arch", "mode", "dtype", "batch_size", "image_size", "device"),
    *("stage", "branch"),  # the branch is empty for a stage itself, the whole and the gap
    *("macs", "macs_share", "paper_macs_per_image"),
    *("latency_s", "latency_s_low", "latency_s_high"),
    *("latency_share", "latency_share_low", "latency_share_high"),
    *("gmacs_per_s", "hook_cost_s", "sets"),
    *PROVENANCE,
)


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Write the file, replace an existing one, and return its path. Raises ``OSError``."""
    path = folder / FILE
    write_text(path, csv_safe(frame[list(COLUMNS)]).to_csv(index=False))
    return path


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a file; raise ``RequestError`` if it is not a table of stages."""
    figures = [name for name in COLUMNS if name not in {*TEXT, *COUNTS}]
    try:
        rows = pd.read_csv(
            path,
            dtype={
                **dict.fromkeys(TEXT, "str"),
                **dict.fromkeys(COUNTS, "int64"),
                "image_size": "Int64",  # missing for inputs other than images
                **dict.fromkeys(figures, "float64"),
            },
            # An empty branch is a name; an empty figure is a missing value.
            keep_default_na=False,
            na_values={name: [""] for name in ("image_size", *figures)},
        )
    except (OSError, ValueError) as error:
        reason = first_line(str(error)) or type(error).__name__
        raise RequestError(f"cannot read {path}: {reason}") from error
    if tuple(rows.columns) == COLUMNS[: -len(PROVENANCE)]:
        rows = rows.assign(**dict.fromkeys(PROVENANCE, ""))
    if tuple(rows.columns) != COLUMNS:
        raise RequestError(
            f"{path} is not a table of stages: its columns are {', '.join(rows.columns)}, but "
            f"{', '.join(COLUMNS)} were expected"
        )
    return rows
