"""Latency chart: the latency and its interval, with a row for each arch and mode."""

from collections.abc import Iterator

import altair as alt

from bench.records.record import RunRecord
from bench.report import frame, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "A dot is a cell's latency; the line is its 95 % interval over sets of fresh processes. If two "
    "lines overlap, the ratios to the reference may still show a difference between the cells, "
    "because drift that slows both alike cancels in a ratio."
)


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each dtype, batch size, task and device."""
    quantity = "host latency" if run.has_blocks else "latency"  # a GPU has two latencies
    for title, rows in summary.groups(frame.summary(run)):
        table = rows.assign(
            latency_ms=rows["latency_s"] * 1e3,
            low_ms=rows["latency_s_low"] * 1e3,
            high_ms=rows["latency_s_high"] * 1e3,
        )[["arch", "mode", "latency_ms", "low_ms", "high_ms"]]
        modes = list(dict.fromkeys(table["mode"]))
        y = {**style.row(modes), "color": style.colour("mode", "mode", modes)}
        tooltip = [
            alt.Tooltip("arch:N"),
            alt.Tooltip("mode:N"),
            alt.Tooltip("latency_ms:Q", title="latency ms", format=",.3r"),
            alt.Tooltip("low_ms:Q", title="from ms", format=",.3r"),
            alt.Tooltip("high_ms:Q", title="to ms", format=",.3r"),
        ]
        x = alt.X("low_ms:Q", title=f"{quantity}, ms", scale=alt.Scale(zero=False))
        base = alt.Chart(table)
        lines = base.mark_rule(strokeWidth=2).encode(
            x=x, x2=alt.X2("high_ms:Q"), tooltip=tooltip, **y
        )
        dots = base.mark_point(filled=True, size=50, opacity=1).encode(
            x=alt.X("latency_ms:Q"), tooltip=tooltip, **y
        )
        plot = alt.layer(lines, dots).properties(width=style.WIDTH, height=style.height(table))
        name = f"latency-{summary.slug(title)}"
        yield style.to_chart(name, f"Latency: {title}", CAPTION, plot)
