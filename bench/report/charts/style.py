"""The style of all charts: colours for colour-blind readers, and a transparent background."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import altair as alt
import numpy as np
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
SLOWER, FASTER, NEITHER, CODE = "#D55E00", "#0072B2", "#999999", "#A39161"
WIDTH, ROW_HEIGHT = 560, 14
# d3 labels only some ticks of a log axis, which suits a wide one. Up to this ratio of its ends, an
# axis has at most ten ticks, and all are labelled.
_NARROW = 5.0
_FORMAT = ".6~r"
MOST_PANELS = 3  # beside each other
_BETWEEN = 20  # pixels between panels
_GAP = 10  # pixels between networks
# Placeholder for hundreds of rows: Altair would inspect each value several times per layer.
ROWS = alt.NamedData("rows")
# Vega-Lite writes titles and sorted values into expressions. In Vega's expressions a text cannot
# contain these two characters, as in JavaScript before ES2019.
_LINE_SEPARATORS = str.maketrans({"\u2028": " ", "\u2029": " "})
# Used without a theme, as in Markdown: a grey that is legible on both white and black.
GREY = "#767676"
# vl-convert measures text in Liberation Sans, which is as wide as Arial. A viewer may draw it in a
# wider font: DejaVu Sans is 14 % wider, and 20 % in bold. So an SVG is laid out with larger text.
_ROOM_FOR_TEXT = 1.25
_FONT_SIZE = re.compile(r'font-size="([\d.]+)px"')
_LABELS: Mapping[str, Any] = MappingProxyType(
    {
        "labelColor": GREY,
        "titleColor": GREY,
        # Vega's sizes and our limit, in pixels
        "labelFontSize": 10 * _ROOM_FOR_TEXT,
        "titleFontSize": 11 * _ROOM_FOR_TEXT,
        "labelLimit": 260 * _ROOM_FOR_TEXT,
    }
)
_INK: Mapping[str, Any] = MappingProxyType(
    {
        "axis": {
            **_LABELS,
            "domainColor": GREY,
            "tickColor": GREY,
            "gridColor": "#80808040",
        },
        # The symbols of a legend without colours, such as shapes.
        "legend": {**_LABELS, "symbolBaseFillColor": GREY, "symbolBaseStrokeColor": GREY},
        "header": dict(_LABELS),
        "text": {"color": GREY, "fontSize": 10 * _ROOM_FOR_TEXT},
        "view": {"stroke": "#80808040"},
        "font": "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
    }
)


def to_chart(
    name: str,
    title: str,
    caption: str,
    plot: alt.TopLevelMixin,
    rows: pd.DataFrame | None = None,
    *,
    names: Sequence[str] = (),
) -> Chart:
    """Return the chart of an Altair plot. ``rows`` replaces ``ROWS``; no value may be missing.

    ``names`` can be searched for in the page (``Chart.names``). Unicode's line separators in texts
    become spaces.

    The plot is not validated here, because that took a tenth of the report's time for a run of a
    hundred groups. The tests validate it against Vega-Lite's schema.
    """
    spec = plot.to_dict(validate=False)
    if rows is not None:
        spec["datasets"] = {**spec.get("datasets", {}), ROWS.name: rows.to_dict("records")}
    shown = tuple(each.translate(_LINE_SEPARATORS) for each in names)
    return Chart(name=name, title=title, caption=caption, spec=_on_one_line(spec), names=shown)


def _on_one_line(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification whose texts, which may be names from a run, have no line separator."""
    text = json.dumps(spec, ensure_ascii=False)
    on_one_line = text.translate(_LINE_SEPARATORS)
    replaced: dict[str, Any] = spec if on_one_line == text else json.loads(on_one_line)
    return replaced


def colour(field: str, title: str, domain: list[str], *, is_explained: bool = True) -> alt.Color:
    """Return a colour for each value of a field, the same in every chart with the same values.

    ``is_explained``: whether there is a legend.
    """
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=domain, range=list(PALETTE)),
        legend=alt.Legend(symbolOpacity=1) if is_explained else None,
    )


def panels(
    plot: alt.LayerChart | alt.FacetChart, facet: alt.Facet, values: Sequence[str]
) -> alt.FacetChart:
    """Return a plot repeated for each of the facet's values, with as many beside each other as fit.

    In the page, their number and their width follow from the width of the page (charts.js).
    """
    columns = min(len(values), MOST_PANELS)
    return plot.properties(width=(WIDTH - _BETWEEN * (columns - 1)) // columns).facet(
        facet=facet, columns=columns, spacing=_BETWEEN
    )


def log_axis(figures: "np.typing.NDArray[np.float64]", **options: Any) -> alt.Axis:
    """Return a log axis for these figures, with enough labels even if they differ little."""
    is_narrow = np.nanmax(figures) / np.nanmin(figures) <= _NARROW
    return alt.Axis(
        format=_FORMAT,
        labelExpr=f"format(datum.value, '{_FORMAT}')" if is_narrow else alt.Undefined,
        labelSeparation=5,
        **options,
    )


def row(modes: list[str]) -> dict[str, Any]:
    """Return the vertical position of a cell: a row for each mode within each arch."""
    return {
        "y": alt.Y("arch:N", title=None, sort=None),
        "yOffset": alt.YOffset("mode:N", sort=modes),
    }


def height(cells: pd.DataFrame) -> int:
    """Return the height of a chart with a row for each cell."""
    return _GAP + ROW_HEIGHT * len(cells) + _GAP * cells["arch"].nunique()


def svg(chart: Chart) -> str:
    """Return the chart as SVG that is legible on both light and dark backgrounds.

    There is room for text in a font that is wider than the one it was laid out with. Raises
    ``ValueError`` if the chart's data contains a number that JSON does not support.
    """
    return _svg(json.dumps({**chart.spec, "background": "transparent"}, allow_nan=False))


@lru_cache(maxsize=512)  # at 30 kB; a file and the page contain the same picture
def _svg(spec: str) -> str:
    import vl_convert

    laid_out = str(vl_convert.vegalite_to_svg(spec, config=dict(_INK)))
    return _FONT_SIZE.sub(_drawn_size, laid_out)


def _drawn_size(laid_out: re.Match[str]) -> str:
    return f'font-size="{float(laid_out[1]) / _ROOM_FOR_TEXT:g}px"'
