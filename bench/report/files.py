"""The report's files: what lies in a report folder beside the run file."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from bench.atomic import write_text
from bench.names import RequestError
from bench.records import journal, store
from bench.records.record import RunRecord
from bench.report import findings, frame, ladder, largest, markdown, roofline, saturation, trust
from bench.report.chart import Chart
from bench.report.stage_findings import findings as looked_into
from bench.stages import store as stages
from bench.tables import csv_safe

RUN_FILE = "run.json"
CHARTS = "charts"
SOMETIMES: Mapping[str, Callable[[RunRecord], pd.DataFrame]] = MappingProxyType(
    {"saturation.csv": saturation.frame, "fit.csv": largest.frame}
)
"""Tables of what not every run measures; an earlier run's goes where this one has none."""
NAMES = frozenset(
    {
        *(RUN_FILE, "report.md", "report.html", "summary.csv", "ladder.csv", "interactions.csv"),
        *("roofline.csv", "trust.csv", "samples.csv", *SOMETIMES),
    }
)
"""Every file that a run may replace or remove, its charts aside."""


MARKS: Mapping[str, str] = MappingProxyType(
    {RUN_FILE: f'"{store.OURS}"', "report.html": '<meta name="generator" content="googlenet-bench'}
)
"""What some of them have in them that nobody else's have."""


def check_ours(
    folder: Path, names: Collection[str] = NAMES, marks: Mapping[str, str] = MARKS
) -> None:
    """Refuse to replace, or remove, what no earlier run left, as far as is known.

    Where a file with its mark lies, or the journal of a run that was cut off, all of ``names`` and
    the charts are taken for a run's; else the first are somebody's. Raises ``RequestError``.
    """
    theirs = sorted(name for name in names if (folder / name).exists())
    ours = (name for name in theirs if name in marks and _has(folder / name, marks[name]))
    if any(ours) or any(folder.glob(f"{journal.STEM}*{journal.SUFFIX}")) or not theirs:
        return
    raise RequestError(
        f"{folder} has no run of googlenet-bench, and {', '.join(theirs)}, which a run would "
        "replace or remove: name another folder with --report-dir, or move what is there"
    )


def _has(path: Path, mark: str) -> bool:
    return path.is_file() and mark.encode() in path.read_bytes()


def write_all(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the run file, and every report beside it."""
    store.write(run, folder / RUN_FILE)
    return (folder / RUN_FILE, *write(run, folder))


def write(run: RunRecord, folder: Path, beside: Path | None = None) -> tuple[Path, ...]:
    """Write every report but the run file, each whole or not at all; charts of an earlier run go.

    What ``googlenet-bench stages`` wrote is shown too, from ``beside``, where the run file lies, or
    else from ``folder``. The charts' files are not among those that come back: they belong to the
    Markdown.
    """
    from bench.report import charts

    inside = None if beside is None else _inside(beside)
    if inside is None:
        inside = _inside(folder)
    drawn = charts.build(run, inside)
    contents = _contents(run, drawn, inside)
    for name in SOMETIMES:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_text(folder / name, content)
    _draw(drawn, folder / CHARTS)
    return tuple(folder / name for name in contents)


def _inside(folder: Path) -> pd.DataFrame | None:
    """What ``googlenet-bench stages`` wrote there; a file that is something else is left alone."""
    try:
        return stages.read(folder / stages.FILE)
    except RequestError:
        return None


def _contents(
    run: RunRecord, drawn: Sequence[Chart], inside: pd.DataFrame | None
) -> Mapping[str, str]:
    from bench.report import page

    tables = {
        "summary.csv": frame.summary(run),
        "ladder.csv": ladder.frame(run),
        "interactions.csv": ladder.interactions(run),
        "roofline.csv": roofline.frame(run),
        "trust.csv": trust.table(trust.assess(run)),
        "samples.csv": frame.samples(run),
    }
    sometimes = {name: table(run) for name, table in SOMETIMES.items()}
    tables |= {name: rows for name, rows in sometimes.items() if not rows.empty}
    return {
        "report.md": markdown.render(run, drawn, inside),
        "report.html": page.render(
            run,
            findings=[*findings.find(run), *(() if inside is None else looked_into(inside))],
            charts=drawn,
            inside=inside,
        ),
        **{name: csv_safe(table).to_csv(index=False) for name, table in tables.items()},
    }


def _draw(drawn: Sequence[Chart], folder: Path) -> None:
    from bench.report import charts
    from bench.report.charts import style

    wanted = {f"{chart.name}.svg": chart for chart in drawn}
    for old in folder.glob("*.svg"):
        if old.name.startswith(charts.PREFIXES) and old.name not in wanted:
            old.unlink()
    for name, chart in wanted.items():
        write_text(folder / name, style.svg(chart))
