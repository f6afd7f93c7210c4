"""Findings from ``stages.csv``, in sentences: where the time of a network goes. Pure."""

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from bench.report.findings import Findings
from bench.stages.table import networks
from bench.stages.vocabulary import GAP, INCEPTION_BLOCKS, WHOLE
from bench.units import between

_POOLS = ("pool1", "pool2", "pool3", "pool4", "pool")  # pools between stages, and pooling branches
_SHARES = ("macs_share", "latency_share", "latency_share_low", "latency_share_high")


def findings(rows: pd.DataFrame) -> tuple[Findings, ...]:
    """Return the findings of each network and mode in ``stages.csv``."""
    return tuple(
        Findings(title=f"inside {title}", sentences=tuple(_sentences(group)))
        for title, group in networks(rows)
    )


def _sum(shares: "pd.Series[float]") -> float:
    """Return the sum; it is unknown if a part is."""
    return float(shares.sum(skipna=False))


def _branches(rows: pd.DataFrame) -> Iterator[str]:
    """State the share of each kind of branch, over all Inception blocks.

    The rows have no values per set, so the bounds of a sum are the sums of the bounds. The blocks'
    latencies may rise and fall together from set to set, and then a sum varies that much.
    """
    branches = rows[rows["stage"].isin(INCEPTION_BLOCKS) & (rows["branch"] != "")]
    if not set(INCEPTION_BLOCKS) <= set(branches["stage"]):
        return
    # A share that is missing in one block is missing in the sum.
    sums = branches.groupby("branch", sort=False)[list(_SHARES)].agg(_sum)
    (first, of_first), *others = sums.to_dict("index").items()
    kinds = (
        f"the {kind} branches {_latency_share(total)}, for {_percent(total['macs_share'])}"
        for kind, total in others
    )
    of_latency = f"the {first} branches take {_latency_share(of_first)} of the latency"
    of_macs = f"for {_percent(of_first['macs_share'])} of the MACs"
    yield (
        f"Over the {len(INCEPTION_BLOCKS)} Inception blocks, "
        f"{'; '.join([f'{of_latency}, {of_macs}', *kinds])}. "
        "The intervals are sums over the blocks, so they are at least as wide as 95 % intervals."
    )


def _latency_share(row: Mapping[Hashable, Any]) -> str:
    """Return a share of the latency with its interval, if there is one."""
    share, low, high = (row[f"latency_share{end}"] for end in ("", "_low", "_high"))
    if math.isnan(low) or math.isnan(high):
        return _percent(share)
    return f"{_percent(share)} ({between(f'{100 * low:.1f}', f'{100 * high:.1f}')})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sentences(rows: pd.DataFrame) -> Iterator[str]:
    stages = rows[(rows["branch"] == "") & ~rows["stage"].isin([WHOLE, GAP])]
    largest = max(stages.to_dict("records"), key=lambda row: row["latency_share"])
    yield (
        f"Among the stages, {largest['stage']} has the largest share: "
        f"{_latency_share(largest)} of the latency, for {_percent(largest['macs_share'])} of the "
        "MACs."
    )
    yield from _branches(rows)
    whole_stages = rows["stage"].isin(_POOLS) & (rows["branch"] == "")
    pools = rows[whole_stages | rows["branch"].isin(_POOLS)]
    if not pools.empty:
        yield (
            "The max pools and the pooling branches (with their 1×1 convolutions) take about "
            f"{100 * pools['latency_share'].sum():.0f} % of the latency, for "
            f"{100 * pools['macs_share'].sum():.0f} % of the MACs."
        )
