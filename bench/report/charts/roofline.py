"""Roofline chart: each cell's rate compared with the limit of its device."""

from collections.abc import Iterator

import altair as alt
import numpy as np
import pandas as pd

from bench.records.record import RunRecord
from bench.report import roofline, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Horizontal axis: multiply-accumulates per byte that a cell must at least move. Vertical axis: "
    "multiply-accumulates per second that it reaches. The line is the roof: the measured "
    "bandwidth, and the best rate of library matrix products and convolutions. The further a dot "
    "lies below the line, the more can be gained."
)
_POINTS = 60


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each dtype and device with a known ceiling and known cells."""
    rows = roofline.frame(run)
    if rows.empty:
        return
    known = rows[rows["intensity_mac_per_byte"].notna() & rows["achieved_mac_per_s"].notna()]
    for (dtype, device), group in known.groupby(["dtype", "device"], sort=False):
        title = f"{dtype}, {device}"
        name = f"roofline-{summary.slug(title)}"
        yield style.to_chart(name, f"How far from the limit: {title}", CAPTION, _plot(group))


def _plot(group: pd.DataFrame) -> alt.TopLevelMixin:
    first = group.iloc[0]
    intensity = group["intensity_mac_per_byte"]
    knee = first["ceiling_mac_per_s"] / first["bandwidth_bytes_per_s"]
    xs = np.geomspace(min(intensity.min(), knee) / 2, max(intensity.max(), knee) * 2, _POINTS)
    roof = np.minimum(first["ceiling_mac_per_s"], xs * first["bandwidth_bytes_per_s"])
    line = pd.DataFrame({"intensity": xs, "gmac_per_s": roof / 1e9})
    cells = pd.DataFrame(
        {
            "arch": group["arch"],
            "mode": group["mode"],
            "batch": group["batch_size"].astype(str),
            "intensity": intensity,
            "gmac_per_s": group["achieved_mac_per_s"] / 1e9,
            "share": group["share_of_attainable"] * 100,
        }
    )
    x = alt.X("intensity:Q", title="MACs per byte moved", scale=alt.Scale(type="log", nice=False))
    y = alt.Y("gmac_per_s:Q", title="GMAC/s", scale=alt.Scale(type="log", nice=False))
    modes = list(dict.fromkeys(cells["mode"]))
    roof_line = alt.Chart(line).mark_line(color=style.GREY, strokeWidth=2).encode(x=x, y=y)
    dots = (
        alt.Chart(cells)
        .mark_point(filled=True, size=60, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=style.colour("mode", "mode", modes),
            shape=alt.Shape("batch:N", title="batch"),
            tooltip=[
                "arch:N",
                "mode:N",
                "batch:N",
                alt.Tooltip("gmac_per_s:Q", title="GMAC/s", format=".1f"),
                alt.Tooltip("share:Q", title="% of attainable", format=".0f"),
            ],
        )
    )
    return alt.layer(roof_line, dots).properties(width=style.WIDTH, height=300)
