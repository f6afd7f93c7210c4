"""Stages chart: each stage's share of the MACs and of the latency of a network."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from bench.report import summary
from bench.report.chart import Chart
from bench.report.charts import style
from bench.stages.table import networks
from bench.stages.vocabulary import WHOLE

CAPTION = (
    "Each stage's share of the multiply-accumulates, and its share of the latency with its 95 % "
    "interval. If the share of the latency is larger, the work is not in convolutions, or they "
    "run slowly."
)
_MACS, _TIME = "MACs", "latency"


def charts(rows: pd.DataFrame) -> Iterator[Chart]:
    """Yield a chart for each network, mode, dtype, batch size and device of ``stages.csv``."""
    stages = rows[(rows["branch"] == "") & (rows["stage"] != WHOLE)]
    for title, group in networks(stages):
        yield style.to_chart(
            f"stages-{summary.slug(title)}", f"Inside the network: {title}", CAPTION, _plot(group)
        )


def _plot(group: pd.DataFrame) -> alt.TopLevelMixin:
    names = list(group["stage"])
    shares = pd.concat(
        [
            pd.DataFrame({"stage": names, "of": _MACS, "percent": group["macs_share"] * 100}),
            pd.DataFrame(
                {
                    "stage": names,
                    "of": _TIME,
                    "percent": group["latency_share"] * 100,
                    "low": group["latency_share_low"] * 100,
                    "high": group["latency_share_high"] * 100,
                }
            ),
        ],
        ignore_index=True,
    )
    base = alt.Chart(shares)
    x = alt.X("stage:N", title=None, sort=names, axis=alt.Axis(labelAngle=0))
    offset = alt.XOffset("of:N", sort=[_MACS, _TIME])
    y = alt.Y("percent:Q", title="share, %")
    bars = base.mark_bar().encode(
        x=x,
        xOffset=offset,
        y=y,
        color=style.colour("of", "share of", [_MACS, _TIME]),
        tooltip=["stage:N", "of:N", alt.Tooltip("percent:Q", title="%", format=".1f")],
    )
    intervals = base.mark_rule(color=style.GREY).encode(x=x, xOffset=offset, y="low:Q", y2="high:Q")
    return alt.layer(bars, intervals).properties(width=style.WIDTH, height=220)
