"""The style of all charts: colours for colour-blind readers, and a transparent background."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import altair as alt
import pandas as pd

from bench.report.chart import Chart

# The colours of Okabe and Ito (2008) that stand out on both white and black. Four colours of Tol
# (2021) and a grey follow, for charts with more values.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#999933", "#882255", "#44AA99", "#AA4499", "#999999"),
)
# Altair limits the rows for the sake of notebooks; a run may have more.
alt.data_transformers.disable_max_rows()
SLOWER, FASTER, NEITHER = "#D55E00", "#0072B2", "#999999"
WIDTH, ROW_HEIGHT = 560, 14
# Placeholder for hundreds of rows: Altair would inspect each value several times per layer.
ROWS = alt.NamedData("rows")
# Used without a theme, as in Markdown: a grey that is legible on both white and black.
GREY = "#767676"
_INK: Mapping[str, Any] = MappingProxyType(
    {
        "axis": {
            "labelColor": GREY,
            "titleColor": GREY,
            "domainColor": GREY,
            "tickColor": GREY,
            "gridColor": "#80808040",
            "labelLimit": 260,
        },
        "legend": {"labelColor": GREY, "titleColor": GREY},
        "header": {"labelColor": GREY, "titleColor": GREY},
        "text": {"color": GREY},
        "view": {"stroke": "#80808040"},
        "font": "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
    }
)


def to_chart(
    name: str, title: str, caption: str, plot: alt.TopLevelMixin, rows: pd.DataFrame | None = None
) -> Chart:
    """Return the chart of an Altair plot. ``rows`` replaces ``ROWS``; no value may be missing.

    The plot is not validated here, because that took a tenth of the report's time for a run of a
    hundred groups. The tests validate it against Vega-Lite's schema.
    """
    spec = plot.to_dict(validate=False)
    if rows is not None:
        spec["datasets"] = {ROWS.name: rows.to_dict("records")}
    return Chart(name=name, title=title, caption=caption, spec=spec)


def colour(field: str, title: str, domain: list[str]) -> alt.Color:
    """Return a colour for each value of a field, the same in every chart with the same values."""
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=domain, range=list(PALETTE)),
        legend=alt.Legend(symbolOpacity=1),
    )


def svg(chart: Chart) -> str:
    """Return the chart as SVG that is legible on both light and dark backgrounds."""
    import vl_convert

    spec = {**chart.spec, "background": "transparent"}
    return str(vl_convert.vegalite_to_svg(spec, config=dict(_INK)))
