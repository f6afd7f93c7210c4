"""Findings from ``stages.csv``, in sentences: where the time of a network goes. Pure."""

from collections.abc import Iterator

import pandas as pd

from bench.report.findings import Findings
from bench.stages.table import networks
from bench.stages.vocabulary import GAP, WHOLE

_POOLS = ("pool1", "pool2", "pool3", "pool4", "pool")  # pools between stages, and pooling branches


def findings(rows: pd.DataFrame) -> tuple[Findings, ...]:
    """Return the findings of each network and mode in ``stages.csv``."""
    return tuple(
        Findings(title=f"inside {title}", sentences=tuple(_sentences(group)))
        for title, group in networks(rows)
    )


def _sentences(rows: pd.DataFrame) -> Iterator[str]:
    stages = rows[(rows["branch"] == "") & ~rows["stage"].isin([WHOLE, GAP])]
    largest = max(stages.to_dict("records"), key=lambda row: row["latency_share"])
    low, high = (f"{100 * largest[f'latency_share_{end}']:.1f}" for end in ("low", "high"))
    yield (
        f"Among the stages, {largest['stage']} has the largest share: "
        f"{100 * largest['latency_share']:.1f} % ({low}–{high}) of the latency, for "
        f"{100 * largest['macs_share']:.1f} % of the MACs."
    )
    whole_stages = rows["stage"].isin(_POOLS) & (rows["branch"] == "")
    pools = rows[whole_stages | rows["branch"].isin(_POOLS)]
    if not pools.empty:
        yield (
            "The max pools and the pooling branches (with their 1×1 convolutions) take about "
            f"{100 * pools['latency_share'].sum():.0f} % of the latency, for "
            f"{100 * pools['macs_share'].sum():.0f} % of the MACs."
        )
