"""Throughput chart: throughput by batch size, which shows where a larger batch stops helping."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from bench.records.record import RunRecord
from bench.report import frame, saturation, summary
from bench.report.chart import Chart
from bench.report.charts import style

FLAT = "Where a line is flat, a larger batch only makes each image wait longer."
CAPTION = (
    "Images per second if batches run one after the other, with the 95 % interval of the latency "
    f"that it is computed from. {FLAT}"
)
FROM_BLOCKS = (
    "Images per second of batches with no wait between them, with the 95 % interval over the "
    f"sets. {FLAT}"
)


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each dtype, task and device with enough measured batch sizes."""
    rows = frame.summary(run)
    if rows.empty:
        return
    measured = rows[rows["status"] == "measured"]
    for (dtype, task, device), group in measured.groupby(["dtype", "task", "device"], sort=False):
        if group["batch_size"].nunique() < saturation.MIN_SIZES:
            continue
        yield _chart(group, f"{dtype}, {task}, {device}")


def _chart(group: pd.DataFrame, title: str) -> Chart:
    table = group.rename(columns={"images_per_s_low": "low", "images_per_s_high": "high"})[
        ["arch", "mode", "batch_size", "images_per_s", "low", "high"]
    ]
    archs = list(dict.fromkeys(table["arch"]))
    sizes = sorted(int(size) for size in table["batch_size"].unique())
    encoding = {
        "x": alt.X(
            "batch_size:Q",
            title="images in a batch",
            scale=alt.Scale(type="log", base=2, nice=False),
            axis=alt.Axis(values=sizes, format="d"),
        ),
        "color": style.colour("arch", "network", archs),
    }
    base = alt.Chart(table)
    y = alt.Y("images_per_s:Q", title="images/s", scale=alt.Scale(zero=True))
    tooltip = ["arch:N", "mode:N", "batch_size:Q", alt.Tooltip("images_per_s:Q", format=".3s")]
    lines = base.mark_line(point={"size": 45}).encode(y=y, tooltip=tooltip, **encoding)
    bars = base.mark_rule(opacity=0.4).encode(y="low:Q", y2="high:Q", **encoding)
    plot = (
        alt.layer(bars, lines)
        .properties(width=style.WIDTH / 3, height=220)
        .facet(
            column=alt.Column(
                "mode:N", title=None, sort=list(dict.fromkeys(table["mode"])), header=alt.Header()
            )
        )
    )
    caption = FROM_BLOCKS if "images_per_s_from" in group else CAPTION
    name = f"throughput-{summary.slug(title)}"
    return style.to_chart(name, f"Throughput against batch size: {title}", caption, plot)
