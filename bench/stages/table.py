"""The table: a row for each stage and branch, for the gap and the whole, and what to mind."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from bench import means
from bench.stages.figures import Measured
from bench.stages.store import COLUMNS
from bench.stages.vocabulary import GAP, WHOLE, Key, paper_macs
from bench.tables import (
    FORMATS,
    IN_FULL,
    Column,
    bounded,
    escaped,
    filled,
    milliseconds,
    scaled,
)
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
sets; shares are of a forward without hooks. A stage is timed from its first module's call to its
last one's end, with the functions called between them; a branch in forwards of its own, so that
what a stage does besides its branches, such as joining their outputs, is in the stage's row alone.
The gap is what of a forward is in no stage. Hooks are in the stages' time and not in the whole's,
and medians of noisy parts do not add up to the whole's: it may be negative, and one whose interval
contains 0 has not been shown. M MACs are millions of multiply-accumulates, GMAC/s billions of them
a second while the row runs.
"""
ON_TABLE_1 = """\
Table 1 is the paper's count for one image, in the same unit (googlenet-bench table1 says where and
why it differs); what a stage has of it is the sum of its rows.
"""
ON_CUDA = """\
On a CUDA device times are the host's, between waits for all work to end: a stage's kernels are not
launched while the one before still runs, so that stages may add up to more than the whole.
"""


def frame(found: Sequence[Measured]) -> pd.DataFrame:
    """One row a part, network by network. Units are in the columns' names."""
    return pd.DataFrame([row for network in found for row in _rows(network)], columns=list(COLUMNS))


def render(form: str, rows: pd.DataFrame) -> str:
    """The rows in a format; those that people read have a title and notes for each network."""
    if form not in {"rich", "markdown"}:
        return FORMATS[form](SHOWN, rows)
    clean = escaped if form == "markdown" else str
    parts = []
    for title, network in titled(rows):
        parts += [
            f"## {clean(title)}" if form == "markdown" else title,
            FORMATS[form](_shown(network), network),
            _adding_up(network),
        ]
    return "\n\n".join([*parts, _notes(rows)])


def networks(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each network, and what it was measured in."""
    keys = ["arch", "mode", "dtype", "batch_size", "device"]
    for (arch, mode, dtype, batch_size, device), network in rows.groupby(keys, sort=False):
        yield f"{arch}, {mode}, {dtype}, batch {batch_size}, {device}", network


def titled(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The same, with its images and sets, and on what, with what and when it was measured."""
    for title, network in networks(rows):
        yield f"{title}, {_circumstances(network)}", network


def _rows(found: Measured) -> Iterator[dict[str, Any]]:
    cell, sets = found.cell, found.sets
    keys = [key for key in found.macs.parts if all(key in one.parts_s for one in sets)]
    paper = paper_macs(keys) if found.image_size == PAPERS_IMAGE_SIZE else {}
    for part in (*(_part(found, key) for key in keys), _gap(found), _whole(found)):
        shares = [own / one.whole_s for own, one in zip(part.seconds, sets, strict=True)]
        latency = means.interval(part.seconds)
        macs = part.macs_per_image * cell.batch_size
        yield {
            "arch": cell.arch,
            "mode": cell.mode,
            "dtype": cell.dtype,
            "batch_size": cell.batch_size,
            "image_size": found.image_size,
            "device": cell.device,
            "stage": part.key[0],
            "branch": part.key[1],
            "macs": macs,
            "macs_share": _share(part.macs_per_image, found.macs.whole),
            "paper_macs_per_image": paper.get(part.key, math.nan),
            **bounded("latency_s", latency),
            **bounded("latency_share", means.interval(shares)),
            "gmacs_per_s": _rate(macs, latency.estimate),
            "hook_cost_s": fmean(part.hooks_s) if part.hooks_s else math.nan,
            "sets": len(sets),
            **asdict(found.circumstances),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a row is made of: counts, and seconds in each set."""

    key: Key
    macs_per_image: int
    seconds: Sequence[float]
    hooks_s: Sequence[float] = ()
    """What hooks cost; nothing for the gap, which is a difference."""


def _part(found: Measured, key: Key) -> _Row:
    return _Row(
        key=key,
        macs_per_image=found.macs.parts[key],
        seconds=[one.parts_s[key] for one in found.sets],
        hooks_s=[one.pair_s for one in found.sets],
    )


def _gap(found: Measured) -> _Row:
    in_stages = sum(macs for (_, branch), macs in found.macs.parts.items() if not branch)
    return _Row(
        key=(GAP, ""),
        macs_per_image=found.macs.whole - in_stages,
        seconds=[one.gap_s for one in found.sets],
    )


def _whole(found: Measured) -> _Row:
    return _Row(
        key=(WHOLE, ""),
        macs_per_image=found.macs.whole,
        seconds=[one.whole_s for one in found.sets],
        hooks_s=[one.hooks_s for one in found.sets],
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _rate(macs: int, seconds: float) -> float:
    """GMAC/s; NaN where nothing is multiplied, and for a gap that is negative."""
    return macs / seconds / GIGA if macs and seconds > 0 else math.nan


def _circumstances(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    what = f"{first['image_size']}×{first['image_size']}, {first['sets']} sets"
    if not first["torch"]:
        return what
    return f"{what}, {first['device_name']}, PyTorch {first['torch']}, {first['measured_at'][:10]}"


def _shown(rows: pd.DataFrame) -> tuple[Column, ...]:
    """The columns that say something of these rows."""
    has_branches = rows["branch"].ne("").any()
    return tuple(
        column for column in filled(SHOWN, rows) if has_branches or column.name != "branch"
    )


def _notes(rows: pd.DataFrame) -> str:
    """How to read the tables: what there is something of in them."""
    has_paper = rows["paper_macs_per_image"].notna().any()
    is_cuda = rows["device"].str.startswith("cuda").any()
    notes = HOW_TO_READ + (ON_TABLE_1 if has_paper else "") + (ON_CUDA if is_cuda else "")
    return notes.strip()


def _adding_up(rows: pd.DataFrame) -> str:
    """What the stages come to beside the whole, and what hooks cost."""
    by_stage = {row["stage"]: row for row in rows[rows["branch"] == ""].to_dict("records")}
    whole, gap = by_stage.pop(WHOLE), by_stage.pop(GAP)
    stages_s = sum(row["latency_s"] for row in by_stage.values())
    pair_s = next(iter(by_stage.values()))["hook_cost_s"]
    return (
        f"The stages add up to {milliseconds(stages_s)} ms, and a forward without hooks takes "
        f"{milliseconds(whole['latency_s'])} ms: a gap of {milliseconds(gap['latency_s'])} ms, "
        f"{PERCENT(gap['latency_share'])} %. Hooks on all stages make a forward "
        f"{MICROSECONDS(whole['hook_cost_s'])} µs longer; a pair of them on nothing shows "
        f"{MICROSECONDS(pair_s)} µs."
    )
