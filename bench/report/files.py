"""The files of a report folder: the run file, and the reports in every format."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench.atomic import write_text
from bench.names import RequestError
from bench.records import journal, store
from bench.records.record import RunRecord
from bench.report import sections
from bench.report.chart import Chart
from bench.report.formats import FORMATS
from bench.report.section import Source
from bench.stages import store as stages

RUN_FILE = "run.json"
CHARTS = "charts"


def names() -> frozenset[str]:
    """Return the path of every file that a run may replace or remove, except its charts."""
    return frozenset({RUN_FILE, *(path for each in FORMATS.values() for path in each.paths())})


def marks() -> Mapping[str, str]:
    """Return text that some of these files contain and files of other programs do not."""
    of_formats = {
        path: each.mark for each in FORMATS.values() if each.mark for path in each.paths()
    }
    return {RUN_FILE: f'"{store.RUN_KEY}"', **of_formats}


def check_replaceable(
    folder: Path, replaced: Collection[str] = (), marked: Mapping[str, str] | None = None
) -> None:
    """Raise ``RequestError`` if a run would replace or remove files that no earlier run wrote.

    ``replaced``: paths of the files, and ``marked``: what some of them contain; by default, those
    of a run. If a file contains its mark, or the folder holds the journal of an unfinished run, all
    of them and the charts are assumed to be a run's. Otherwise any of them is assumed to be
    somebody else's.
    """
    present = sorted(name for name in replaced or names() if (folder / name).exists())
    found = marks() if marked is None else marked
    is_ours = any(_has(folder / name, found[name]) for name in present if name in found)
    if is_ours or any(folder.glob(f"{journal.STEM}*{journal.SUFFIX}")) or not present:
        return
    raise RequestError(
        f"{folder} contains {', '.join(present)}, which a run would replace or remove, but no run "
        "of googlenet-bench: name another folder (--report-dir), or move these files"
    )


def _has(path: Path, mark: str) -> bool:
    return path.is_file() and mark.encode() in path.read_bytes()


def write_all(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the run file and every report beside it; return the paths."""
    store.write(run, folder / RUN_FILE)
    return (folder / RUN_FILE, *write(run, folder))


def write(run: RunRecord, folder: Path, run_folder: Path | None = None) -> tuple[Path, ...]:
    """Write every report except the run file, and remove those of an earlier run.

    Each file is written atomically. The reports include the result of ``googlenet-bench stages``
    if it is in ``run_folder`` (the folder of the run file) or else in ``folder``. The returned
    paths do not include the charts, which are a part of the Markdown report.
    """
    from bench.report import charts

    inside = None if run_folder is None else _read_stages(run_folder)
    if inside is None:
        inside = _read_stages(folder)
    document = sections.document(Source(run=run, charts=charts.build(run, inside), inside=inside))
    contents: dict[str, str] = {}
    for each in FORMATS.values():
        contents |= each.render(document)
    for name in names() - contents.keys() - {RUN_FILE}:
        (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_text(folder / name, content)
    _write_charts(document.charts, folder / CHARTS)
    return tuple(folder / name for name in contents)


def _read_stages(folder: Path) -> pd.DataFrame | None:
    """Return what ``googlenet-bench stages`` wrote; None if the file is missing or not readable."""
    try:
        return stages.read(folder / stages.FILE)
    except RequestError:
        return None


def _write_charts(all_charts: Sequence[Chart], folder: Path) -> None:
    from bench.report.charts import PREFIXES, style

    ours = (*PREFIXES, *(f"{name}-" for name in sections.SECTIONS))
    current = {f"{chart.name}.svg": chart for chart in all_charts}
    for old in folder.glob("*.svg"):
        if old.name.startswith(ours) and old.name not in current:
            old.unlink()
    for name, chart in current.items():
        write_text(folder / name, style.svg(chart))
