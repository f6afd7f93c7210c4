"""The report's files: what lies in a report folder beside the run file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import store
from bench.record import RunRecord
from bench.report import frame, ladder, markdown
from bench.report.chart import Chart
from bench.report.tables import csv_safe
from bench.store import write_text

RUN_FILE = "run.json"
CHARTS = "charts"


def write_all(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the run file, and every report beside it."""
    store.write(run, folder / RUN_FILE)
    return (folder / RUN_FILE, *write(run, folder))


def write(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write every report but the run file, each whole or not at all; charts of an earlier run go.

    The charts' files are not among those that come back: they belong to the Markdown.
    """
    from bench.report import charts

    drawn = charts.of(run)
    contents = _contents(run, drawn)
    for name, content in contents.items():
        write_text(folder / name, content)
    _draw(drawn, folder / CHARTS)
    return tuple(folder / name for name in contents)


def _contents(run: RunRecord, drawn: Sequence[Chart]) -> Mapping[str, str]:
    tables = {
        "summary.csv": frame.summary(run),
        "ladder.csv": ladder.frame(run),
        "interactions.csv": ladder.interactions(run),
        "samples.csv": frame.samples(run),
    }
    return {
        "report.md": markdown.render(run, drawn),
        **{name: csv_safe(table).to_csv(index=False) for name, table in tables.items()},
    }


def _draw(drawn: Sequence[Chart], folder: Path) -> None:
    from bench.report.charts import style

    wanted = {f"{chart.name}.svg": chart for chart in drawn}
    for old in folder.glob("*.svg"):
        if old.name not in wanted:
            old.unlink()
    for name, chart in wanted.items():
        write_text(folder / name, style.svg(chart))
