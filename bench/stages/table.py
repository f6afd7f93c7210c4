"""The table of stages: a row for each stage and branch, the gap and the whole, with notes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from bench import means
from bench.columns import IN_FULL, Column, bounded, filled, milliseconds, scaled
from bench.stages.figures import NetworkFigures
from bench.stages.store import COLUMNS
from bench.stages.vocabulary import GAP, WHOLE, Key, paper_macs
from bench.tables import FORMATS, escaped
from bench.units import counted
from googlenet.table1 import MEGA

GIGA = 1e9
PAPERS_IMAGE_SIZE = 224  # pixels; Table 1's operations are for it
MICROSECONDS = scaled(1e6, 1)
PERCENT = scaled(100, 1)
MILLIONS = scaled(1 / MEGA, 1)
SHOWN = (
    Column(name="stage", heading="stage", is_text=True),
    Column(name="branch", heading="branch", is_text=True),
    Column(name="macs", heading="M MACs", write=MILLIONS),
    Column(name="macs_share", heading="MACs %", write=PERCENT, rank=IN_FULL),
    Column(name="paper_macs_per_image", heading="Table 1", write=MILLIONS, rank=IN_FULL),
    Column(name="latency_s", heading="latency ms", write=milliseconds, bounded=True),
    Column(name="latency_share", heading="latency %", write=PERCENT, bounded=True),
    Column(name="gmacs_per_s", heading="GMAC/s", write=scaled(1, 1)),
)
HOW_TO_READ = """\
Latencies are means over sets of fresh processes of each set's median, with 95 % intervals over the
sets. Shares refer to a forward pass without hooks. A stage is timed from the call of its first
module to the end of its last module, including functions called between them. A branch is timed in
separate forward passes. Work of a stage outside its branches, such as joining their outputs, is
only in the stage's row. The gap is the part of a forward pass that is in no stage. It may be
negative, because hooks are in the time of the stages but not of the whole, and because medians of
noisy parts do not add up to the median of the whole. If the interval of the gap contains 0, no gap
has been shown. M MACs are millions of multiply-accumulates. GMAC/s are billions of
multiply-accumulates per second while the stage or branch runs.
"""
ON_TABLE_1 = """\
Table 1 is the paper's count for one image, in the same unit (googlenet-bench table1 shows where and
why it differs). The value of a stage is the sum of its rows in Table 1.
"""
ON_CUDA = """\
On a CUDA device, times are measured by the host, which waits for all work of the device at the
start and the end of each stage. The kernels of a stage are not launched while the previous stage
still runs, so the stages may add up to more than the whole.
"""


def frame(figures: Sequence[NetworkFigures]) -> pd.DataFrame:
    """Return one row for each part, network by network. Column names contain the units."""
    rows = [row for network in figures for row in _rows(network)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"image_size": "Int64"})


def render(form: str, rows: pd.DataFrame) -> str:
    """Return the rows in a format. Formats for people have titles and notes for each network."""
    if form not in {"rich", "markdown"}:
        return FORMATS[form](SHOWN, rows)
    clean = escaped if form == "markdown" else str
    parts = []
    for title, network in titled(rows):
        parts += [
            f"## {clean(title)}" if form == "markdown" else title,
            FORMATS[form](columns(network), network),
            balance(network),
        ]
    return "\n\n".join([*parts, notes(rows)])


def networks(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a title and the rows of each network: arch, mode, dtype, batch size and device."""
    keys = ["arch", "mode", "dtype", "batch_size", "device"]
    for (arch, mode, dtype, batch_size, device), network in rows.groupby(keys, sort=False):
        yield f"{arch}, {mode}, {dtype}, batch {batch_size}, {device}", network


def titled(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the same with longer titles: also image size, sets, device, PyTorch and date."""
    for title, network in networks(rows):
        yield f"{title}, {_provenance(network)}", network


def _rows(network: NetworkFigures) -> Iterator[dict[str, Any]]:
    cell, sets = network.cell, network.sets
    keys = [key for key in network.macs.parts if all(key in of_set.parts_s for of_set in sets)]
    paper = paper_macs(keys) if network.macs.image_size == PAPERS_IMAGE_SIZE else {}
    for part in (*(_part(network, key) for key in keys), _gap(network), _whole(network)):
        shares = [
            seconds / of_set.whole_s for seconds, of_set in zip(part.seconds, sets, strict=True)
        ]
        latency = means.interval(part.seconds)
        macs = part.macs_per_image * cell.batch_size
        yield {
            "arch": cell.arch,
            "mode": cell.mode,
            "dtype": cell.dtype,
            "batch_size": cell.batch_size,
            "image_size": network.macs.image_size,
            "device": cell.device,
            "stage": part.key[0],
            "branch": part.key[1],
            "macs": macs,
            "macs_share": _share(part.macs_per_image, network.macs.whole),
            "paper_macs_per_image": paper.get(part.key, math.nan),
            **bounded("latency_s", latency),
            **bounded("latency_share", means.interval(shares)),
            "gmacs_per_s": _rate(macs, latency.estimate),
            "hook_cost_s": fmean(part.hooks_s) if part.hooks_s else math.nan,
            "sets": len(sets),
            **asdict(network.provenance),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The values that a row is computed from: MACs, and seconds in each set."""

    key: Key
    macs_per_image: int
    seconds: Sequence[float]
    hooks_s: Sequence[float] = ()
    """Cost of hooks in each set, in seconds; empty for the gap, which is a difference."""


def _part(network: NetworkFigures, key: Key) -> _Row:
    return _Row(
        key=key,
        macs_per_image=network.macs.parts[key],
        seconds=[of_set.parts_s[key] for of_set in network.sets],
        hooks_s=[of_set.pair_s for of_set in network.sets],
    )


def _gap(network: NetworkFigures) -> _Row:
    in_stages = sum(macs for (_, branch), macs in network.macs.parts.items() if not branch)
    return _Row(
        key=(GAP, ""),
        macs_per_image=network.macs.whole - in_stages,
        seconds=[of_set.gap_s for of_set in network.sets],
    )


def _whole(network: NetworkFigures) -> _Row:
    return _Row(
        key=(WHOLE, ""),
        macs_per_image=network.macs.whole,
        seconds=[of_set.whole_s for of_set in network.sets],
        hooks_s=[of_set.hooks_s for of_set in network.sets],
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _rate(macs: int, seconds: float) -> float:
    """Return the rate in GMAC/s; NaN if there are no MACs, and for a negative gap."""
    return macs / seconds / GIGA if macs and seconds > 0 else math.nan


def _provenance(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    size = first["image_size"]
    sets = counted(int(first["sets"]), "set")
    text = sets if pd.isna(size) else f"{size}×{size}, {sets}"
    if not first["torch"]:
        return text
    return f"{text}, {first['device_name']}, PyTorch {first['torch']}, {first['measured_at'][:10]}"


def columns(rows: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns that have values in these rows."""
    has_branches = rows["branch"].ne("").any()
    return tuple(
        column for column in filled(SHOWN, rows) if has_branches or column.name != "branch"
    )


def notes(rows: pd.DataFrame) -> str:
    """Return the notes that apply to these rows."""
    has_paper = rows["paper_macs_per_image"].notna().any()
    is_cuda = rows["device"].str.startswith("cuda").any()
    text = HOW_TO_READ + (ON_TABLE_1 if has_paper else "") + (ON_CUDA if is_cuda else "")
    return text.strip()


def balance(rows: pd.DataFrame) -> str:
    """Return a sentence that compares the sum of the stages with the whole, and the hooks' cost."""
    by_stage = {row["stage"]: row for row in rows[rows["branch"] == ""].to_dict("records")}
    whole, gap = by_stage.pop(WHOLE), by_stage.pop(GAP)
    stages_s = sum(row["latency_s"] for row in by_stage.values())
    pair_s = next(iter(by_stage.values()))["hook_cost_s"]
    return (
        f"The stages add up to {milliseconds(stages_s)} ms, and a forward pass without hooks takes "
        f"{milliseconds(whole['latency_s'])} ms: a gap of {milliseconds(gap['latency_s'])} ms "
        f"({PERCENT(gap['latency_share'])} %). Hooks on all stages make a forward pass "
        f"{MICROSECONDS(whole['hook_cost_s'])} µs longer; a pair of hooks on an empty module "
        f"measures {MICROSECONDS(pair_s)} µs."
    )
