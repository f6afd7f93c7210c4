"""The files of a report folder: the run file and the reports made from it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from bench.atomic import write_text
from bench.names import RequestError
from bench.records import journal, store
from bench.records.record import RunRecord
from bench.report import findings, frame, ladder, largest, markdown, roofline, saturation
from bench.report.chart import Chart
from bench.report.stage_findings import findings as stage_findings
from bench.stages import store as stages
from bench.tables import csv_safe
from bench.trust import assessment

RUN_FILE = "run.json"
CHARTS = "charts"
OPTIONAL_TABLES: Mapping[str, Callable[[RunRecord], pd.DataFrame]] = MappingProxyType(
    {"saturation.csv": saturation.frame, "fit.csv": largest.frame}
)
"""Tables that not every run has. If a run has none, the file of an earlier run is removed."""
NAMES = frozenset(
    {
        *(RUN_FILE, "report.md", "report.html", "summary.csv", "ladder.csv", "interactions.csv"),
        *("roofline.csv", "trust.csv", "samples.csv", *OPTIONAL_TABLES),
    }
)
"""Every file that a run may replace or remove, except its charts."""


MARKS: Mapping[str, str] = MappingProxyType(
    {
        RUN_FILE: f'"{store.RUN_KEY}"',
        "report.html": '<meta name="generator" content="googlenet-bench',
    }
)
"""Text that some of these files contain and files of other programs do not."""


def check_replaceable(
    folder: Path, names: Collection[str] = NAMES, marks: Mapping[str, str] = MARKS
) -> None:
    """Raise ``RequestError`` if a run would replace or remove files that no earlier run wrote.

    If a file contains its mark, or the folder holds the journal of an unfinished run, all of
    ``names`` and the charts are assumed to be a run's. Otherwise any file of ``names`` is assumed
    to be somebody else's.
    """
    present = sorted(name for name in names if (folder / name).exists())
    marked = (name for name in present if name in marks and _has(folder / name, marks[name]))
    if any(marked) or any(folder.glob(f"{journal.STEM}*{journal.SUFFIX}")) or not present:
        return
    raise RequestError(
        f"{folder} contains {', '.join(present)}, which a run would replace or remove, but no run "
        "of googlenet-bench: name another folder with --report-dir, or move these files"
    )


def _has(path: Path, mark: str) -> bool:
    return path.is_file() and mark.encode() in path.read_bytes()


def write_all(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the run file and every report beside it; return the paths."""
    store.write(run, folder / RUN_FILE)
    return (folder / RUN_FILE, *write(run, folder))


def write(run: RunRecord, folder: Path, run_folder: Path | None = None) -> tuple[Path, ...]:
    """Write every report except the run file, and remove the charts of an earlier run.

    Each file is written atomically. The reports include the result of ``googlenet-bench stages``
    if it is in ``run_folder`` (the folder of the run file) or else in ``folder``. The returned
    paths do not include the charts, which are a part of the Markdown report.
    """
    from bench.report import charts

    inside = None if run_folder is None else _read_stages(run_folder)
    if inside is None:
        inside = _read_stages(folder)
    all_charts = charts.build(run, inside)
    contents = _contents(run, all_charts, inside)
    for name in OPTIONAL_TABLES:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_text(folder / name, content)
    _write_charts(all_charts, folder / CHARTS)
    return tuple(folder / name for name in contents)


def _read_stages(folder: Path) -> pd.DataFrame | None:
    """Return what ``googlenet-bench stages`` wrote; None if the file is missing or not readable."""
    try:
        return stages.read(folder / stages.FILE)
    except RequestError:
        return None


def _contents(
    run: RunRecord, all_charts: Sequence[Chart], inside: pd.DataFrame | None
) -> Mapping[str, str]:
    from bench.report import page

    tables = {
        "summary.csv": frame.summary(run),
        "ladder.csv": ladder.frame(run),
        "interactions.csv": ladder.interactions(run),
        "roofline.csv": roofline.frame(run),
        "trust.csv": assessment.table(assessment.assess(run)),
        "samples.csv": frame.samples(run),
    }
    optional = {name: table(run) for name, table in OPTIONAL_TABLES.items()}
    tables |= {name: rows for name, rows in optional.items() if not rows.empty}
    return {
        "report.md": markdown.render(run, all_charts, inside),
        "report.html": page.render(
            run,
            findings=[*findings.find(run), *(() if inside is None else stage_findings(inside))],
            charts=all_charts,
            inside=inside,
        ),
        **{name: csv_safe(table).to_csv(index=False) for name, table in tables.items()},
    }


def _write_charts(all_charts: Sequence[Chart], folder: Path) -> None:
    from bench.report import charts
    from bench.report.charts import style

    current = {f"{chart.name}.svg": chart for chart in all_charts}
    for old in folder.glob("*.svg"):
        if old.name.startswith(charts.PREFIXES) and old.name not in current:
            old.unlink()
    for name, chart in current.items():
        write_text(folder / name, style.svg(chart))
