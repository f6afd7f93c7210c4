"""The HTML page: ``report.html``, one file that works from disk without network or server."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

import bench
from bench.records.record import RunRecord
from bench.report import (
    circumstances,
    explanations,
    frame,
    ladder,
    largest,
    notes,
    roofline,
    saturation,
    summary,
)
from bench.report.chart import Chart
from bench.report.findings import Findings
from bench.report.page import checks, vega
from bench.report.page.table import PageTable, plain
from bench.stages import table as stages
from bench.tables import Column, filled
from bench.trust import assessment

# ``</script`` ends a script element anywhere, and ``<!--`` changes what ends it.
_ENDS_SCRIPT = re.compile(r"<(?=/script|!--)", re.IGNORECASE)


def render(
    run: RunRecord,
    *,
    findings: Sequence[Findings],
    charts: Sequence[Chart],
    inside: pd.DataFrame | None = None,
) -> str:
    """Return the page as HTML: the findings, their validity, the figures and the method.

    ``inside`` contains the rows of ``stages.csv``. Text from the run is escaped, never interpreted
    as HTML. Raises ``ValueError`` if a chart's data contains a number that JSON does not support.
    """
    cells, groups, failed = frame.summary(run), assessment.assess(run), frame.failures(run)
    trust_rows = assessment.table(groups)
    return _TEMPLATES.get_template("page.html.jinja").render(
        version=bench.__version__,
        title=f"{run.environment.get('device_name')}, PyTorch {run.environment.get('torch')}",
        run=run,
        findings=findings,
        findings_note=explanations.FINDINGS,
        steps=[
            (title, plain(ladder.STEP_COLUMNS, rows))
            for title, rows in summary.grouped(ladder.frame(run))
        ],
        interactions=plain(ladder.INTERACTION_COLUMNS, ladder.interactions(run)),
        ladder_note=explanations.LADDER,
        saturation=_filled(saturation.COLUMNS, saturation.frame(run)),
        largest=_filled(largest.COLUMNS, largest.frame(run)),
        largest_note=explanations.LARGEST,
        saturation_note=explanations.SATURATION,
        roofline=_filled(roofline.COLUMNS, roofline.frame(run)),
        ceilings=_filled(roofline.CEILING_COLUMNS, roofline.ceilings(run)),
        roofline_note=_paragraphs(explanations.explain_roofline(run)),
        stages=[] if inside is None else _stages(inside),
        partial=circumstances.PARTIAL.get(run.status, run.status),
        warnings=list(assessment.warnings(run)),
        checks=checks.run_checks(run, groups),
        failed=failed.to_dict("records"),
        failures=plain(frame.FAILURE_COLUMNS, failed),
        groups=plain(assessment.columns(trust_rows), trust_rows),
        trust=_paragraphs(f"{explanations.TRUST}\n{explanations.explain_trust(groups)}"),
        notes=notes.collect(run),
        charts=charts,
        table=PageTable.from_run(run, cells),
        how_to_read=_paragraphs(explanations.how_to_read(run)),
        facts=_pairs("fact", circumstances.facts(run)),
        plan=_pairs("plan", circumstances.plan(run)),
        wall_time=_pairs("wall time, s", circumstances.wall_time_s(run), is_text=False),
        environment_effect=circumstances.environment_effect(run),
        settings=plain(circumstances.SETTING_COLUMNS, circumstances.settings(run)),
        css=_read("page.css"),
        page_js=_script(_read("page.js")),
        charts_js=_script(vega.bundled(_read("charts.js"))) if charts else "",
    )


def _paragraphs(text: str) -> list[str]:
    return text.strip().split("\n\n")


def _filled(columns: tuple[Column, ...], rows: pd.DataFrame) -> object:
    return plain(filled(columns, rows), rows)


def _stages(inside: pd.DataFrame) -> list[tuple[str, object]]:
    return [(title, _filled(stages.SHOWN, rows)) for title, rows in stages.titled(inside)]


def _pairs(heading: str, values: Mapping[str, object], *, is_text: bool = True) -> object:
    """Return a table of names and values, in the form that ``plain`` returns."""
    columns = (
        Column(name="name", heading=heading, is_text=True),
        Column(name="value", heading="value", is_text=is_text),
    )
    return columns, [[name, str(value)] for name, value in values.items()]


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Return JavaScript that is safe in a script element: no text in it can close the element."""
    return _ENDS_SCRIPT.sub(r"\\x3c", source)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The output of tojson is safe in a script element. A number that JSON lacks is an error.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "sort_keys": False}
    return environment


_TEMPLATES = _environment()
