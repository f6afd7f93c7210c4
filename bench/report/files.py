"""The files of a report folder: the run file, and the reports in every format."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.atomic import write_files
from bench.errors import RequestError
from bench.records import journal, store
from bench.records.record import RunRecord
from bench.report import sections
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
    """Write the run file and every report beside it; return the paths.

    They are written together or not at all, as ``write_files`` does; but if a report cannot be
    made, the run file is written before the error is raised.
    """
    run_file = {RUN_FILE: store.text(run)}
    try:
        reports = _reports(run, _read_stages(folder))
    except Exception:
        write_files(folder, run_file)
        raise
    return _written(folder, {**run_file, **reports})


def write(run: RunRecord, folder: Path, run_folder: Path | None = None) -> tuple[Path, ...]:
    """Write every report except the run file, and remove those of an earlier run.

    They are written together or not at all, as ``write_files`` does. The reports include the result
    of ``googlenet-bench stages`` if it is in ``run_folder`` (the folder of the run file) or else in
    ``folder``. The returned paths do not include the charts, which are a part of the Markdown
    report.
    """
    inside = None if run_folder is None else _read_stages(run_folder)
    return _written(folder, _reports(run, _read_stages(folder) if inside is None else inside))


def _reports(run: RunRecord, inside: pd.DataFrame | None) -> dict[str, str]:
    """Return the content of every report and chart, by its path in the folder."""
    from bench.report import charts
    from bench.report.charts import style

    drawn = charts.draw(run, inside)
    if drawn.faults:
        run = replace(run, notes=(*run.notes, *drawn.faults))
    document = sections.document(Source(run=run, charts=drawn.charts, inside=inside))
    contents: dict[str, str] = {}
    for each in FORMATS.values():
        contents |= each.render(document)
    pictures = {f"{CHARTS}/{chart.name}.svg": style.svg(chart) for chart in document.charts}
    return {**contents, **pictures}


def _written(folder: Path, contents: Mapping[str, str]) -> tuple[Path, ...]:
    """Write files, then remove those of an earlier run; return the paths without the charts."""
    from bench.report.charts import PREFIXES

    paths = write_files(folder, contents)
    for name in names() - contents.keys() - {RUN_FILE}:
        (folder / name).unlink(missing_ok=True)
    ours = (*PREFIXES, *(f"{name}-" for name in sections.SECTIONS))
    for old in (folder / CHARTS).glob("*.svg"):
        if old.name.startswith(ours) and f"{CHARTS}/{old.name}" not in contents:
            old.unlink()
    return tuple(path for path in paths if path.parent == folder)


def _read_stages(folder: Path) -> pd.DataFrame | None:
    """Return what ``googlenet-bench stages`` wrote; None if the file is missing or not readable."""
    try:
        return stages.read(folder / stages.FILE)
    except RequestError:
        return None
