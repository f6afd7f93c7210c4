"""CSV: every data table of a run, unrounded, one file each."""

from collections.abc import Collection, Mapping

from bench.report import sections
from bench.report.formats.format import Format
from bench.report.section import Document
from bench.tables import csv_safe


def render(document: Document) -> Mapping[str, str]:
    """Return the data tables. A table that not every run has is left out if it has no rows."""
    frames = {
        name: table.compute(document.run)[1]
        for name, table in sections.tables().items()
        if table.is_file
    }
    return {
        f"{name}.csv": csv_safe(rows).to_csv(index=False)
        for name, rows in frames.items()
        if not (rows.empty and sections.tables()[name].is_optional)
    }


def paths() -> Collection[str]:
    """Return the paths of all data tables."""
    return [f"{name}.csv" for name, table in sections.tables().items() if table.is_file]


CSV = Format(name="csv", render=render, paths=paths)
