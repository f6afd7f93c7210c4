"""Reports of a run as text."""

from collections.abc import Sequence

import pandas as pd

from bench.records.record import RunRecord
from bench.report import sections
from bench.report.chart import Chart
from bench.report.formats import html
from bench.report.formats import markdown as markdown_format
from bench.report.section import Source


def markdown(
    run: RunRecord, charts: Sequence[Chart] = (), inside: pd.DataFrame | None = None
) -> str:
    document = sections.document(Source(run=run, charts=charts, inside=inside))
    (text,) = markdown_format.render(document).values()
    return text


def page(run: RunRecord) -> str:
    (text,) = html.render(sections.document(Source(run=run))).values()
    return text
