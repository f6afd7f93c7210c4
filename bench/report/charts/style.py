"""How all charts look: colours that the colour-blind tell apart, and no ground of their own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import altair as alt
import pandas as pd

from bench.report.chart import Chart

# Okabe and Ito (2008), those of them that stand out on white and on black.
# Three of Tol (2021) follow for who has more to tell apart.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#999933", "#882255", "#44AA99", "#AA4499", "#999999"),
)
# Rows are what a run has; notebooks are what Altair's limit is for.
alt.data_transformers.disable_max_rows()
SLOWER, FASTER, NEITHER = "#D55E00", "#0072B2", "#999999"
WIDTH, ROW_HEIGHT = 560, 14
# In the place of hundreds of rows: Altair looks at each value of them, several times a layer.
ROWS = alt.NamedData("rows")
# Without a theme, as in Markdown: grey that is read on white and on black.
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


def made(
    name: str, title: str, caption: str, drawn: alt.TopLevelMixin, rows: pd.DataFrame | None = None
) -> Chart:
    """A chart of what Altair has drawn; ``rows``, all known, are what ``ROWS`` stands for.

    Whether it is as Vega-Lite's schema has it the tests ask: of a run of a hundred groups that took
    a tenth of the time for its report.
    """
    spec = drawn.to_dict(validate=False)
    if rows is not None:
        spec["datasets"] = {ROWS.name: rows.to_dict("records")}
    return Chart(name=name, title=title, caption=caption, spec=spec)


def colour(field: str, title: str, domain: list[str]) -> alt.Color:
    """A colour for each value of a field, the same in every chart with the same values."""
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=domain, range=list(PALETTE)),
        legend=alt.Legend(symbolOpacity=1),
    )


def svg(chart: Chart) -> str:
    """A chart as SVG, to be read on a light and on a dark ground."""
    import vl_convert

    spec = {**chart.spec, "background": "transparent"}
    return str(vl_convert.vegalite_to_svg(spec, config=dict(_INK)))
