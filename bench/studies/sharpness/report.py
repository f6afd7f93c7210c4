"""The report of the study, ``sharpness.md``; its functions are pure, except ``read``."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.columns import Column, scaled
from bench.errors import RequestError
from bench.means import NORMAL_MAD
from bench.studies.sharpness.live import Iteration
from bench.tables import as_markdown

FILE = "sharpness.md"
RAW_FILE = "sharpness.csv.gz"
DISTANCES_SHOWN = (1, 2, 3, 4, 5, 8, 12)
MEDIAN_ERROR = math.sqrt(
    math.pi / 2
)  # standard error of a median over that of a mean, for normal noise

PERCENT, MS = scaled(100, 2), scaled(1e3, 1)
INTRODUCTION = """\
What makes the ratio of two networks more or less precise, at batch 1 in fp32.
[docs/sharpness.md](../../docs/sharpness.md) has the conclusions. Standard errors (*se*) are of a
median, from the median absolute deviation.
"""
SPIN = """\
Two workers of torchvision's GoogLeNet in each of three modes, alive together. *alone*: two dropped
and 20 timed iterations of one worker, while the others are idle. *one*: visits of one iteration,
none dropped, no pause. *block*: one dropped and six timed iterations after a pause of 5 ms. *one*
and *block* measured for the same time. *se*: standard error of the log-ratio of the two workers of
a mode after that time, mean over modes. *A/A*: root mean square of those log-ratios, which should
be 0.
"""
FIRST = """\
Visits of six iterations, each after a visit to another network: extra time of the first and of the
second iteration over the median of the last four.
"""
DROPPED = """\
Two workers of torchvision's GoogLeNet in each of three modes, neighbours in each round. Visits of
one iteration (*one*) and of one iteration after a dropped one (*second*) took turns of 2.5 s.
*scatter*: standard deviation of the log-ratio of the two workers from round to round. *se*:
standard error of its median, after the same time. *first*: extra time of the dropped iteration over
the timed one.
"""
PROCESSES = """\
Two networks with two workers each in each of several fork servers, all alive together. A visit is
one dropped and one timed iteration. *within*: standard deviation between workers of one network and
server. *servers*: standard deviation of the networks' log-ratio between servers. *expected*: what
*servers* would be if only the noise of the rounds and *within* contributed.
"""
DISTANCES = """\
Scatter of the log-ratio of two workers of one mode from round to round (1.4826 times the median
absolute deviation), by their distance in the round in visits; neighbours have distance 1. *spin*
has only visits of one iteration, with a spin count of 10,000 or 30,000.
"""
_SPIN_COLUMNS = (
    Column(name="arm", heading="GOMP_SPINCOUNT", is_text=True),
    Column(name="way", heading="visits", is_text=True),
    Column(name="eager_s", heading="eager ms", write=MS),
    Column(name="channels_last_s", heading="channels_last ms", write=MS),
    Column(name="compile_s", heading="compile ms", write=MS),
    Column(name="channels_last", heading="log(channels_last / eager)", write=scaled(1, 3)),
    Column(name="compile", heading="log(compile / eager)", write=scaled(1, 3)),
    Column(name="rounds", heading="rounds", write=scaled(1, 0)),
    Column(name="se", heading="se %", write=PERCENT),
    Column(name="same", heading="A/A %", write=PERCENT),
)
_FIRST_COLUMNS = (
    Column(name="network", heading="network", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="latency_s", heading="latency ms", write=MS),
    Column(name="first", heading="first %", write=PERCENT),
    Column(name="first_se", heading="se %", write=PERCENT),
    Column(name="second", heading="second %", write=PERCENT),
    Column(name="second_se", heading="se %", write=PERCENT),
)
_DROPPED_COLUMNS = (
    Column(name="mode", heading="mode", is_text=True),
    Column(name="way", heading="visits", is_text=True),
    Column(name="latency_s", heading="latency ms", write=MS),
    Column(name="rounds", heading="rounds", write=scaled(1, 0)),
    Column(name="scatter", heading="scatter %", write=PERCENT),
    Column(name="se", heading="se %", write=PERCENT),
    Column(name="first", heading="first %", write=PERCENT),
    Column(name="first_se", heading="se %", write=PERCENT),
)
_PROCESSES_COLUMNS = (
    Column(name="arm", heading="mode", is_text=True),
    Column(name="rounds", heading="rounds", write=scaled(1, 0)),
    Column(name="se", heading="se of a worker %", write=PERCENT),
    Column(name="within", heading="within %", write=PERCENT),
    Column(name="servers", heading="servers %", write=PERCENT),
    Column(name="expected", heading="expected %", write=PERCENT),
)

_DISTANCES_COLUMNS = (
    Column(name="experiment", heading="experiment", is_text=True),
    *(
        Column(name=str(distance), heading=str(distance), write=PERCENT)
        for distance in DISTANCES_SHOWN
    ),
)


def read(path: Path) -> pd.DataFrame:
    """Return all iterations of a study; empty if the file does not exist.

    Raises ``RequestError`` if the file holds anything else.
    """
    names = [field.name for field in fields(Iteration)]
    if not path.exists():
        return pd.DataFrame(columns=names)
    try:
        rows = pd.read_csv(path, keep_default_na=False, dtype={"arm": str})
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is not a table of this study: {error}") from error
    if list(rows.columns) != names:
        raise RequestError(
            f"{path} is not a table of this study: its columns are {', '.join(rows.columns)}"
        )
    return rows


def render(machine: str, torch: str, rows: pd.DataFrame) -> str:
    """Return the page of one machine, in Markdown."""
    parts = ["# What makes a ratio precise", f"{machine}, PyTorch {torch}.", INTRODUCTION]
    for name, title, text, columns, table in (
        ("spin", "Spinning threads, and the length of visits", SPIN, _SPIN_COLUMNS, _spin),
        ("first", "The first iterations of a visit", FIRST, _FIRST_COLUMNS, _first),
        ("dropped", "A dropped iteration", DROPPED, _DROPPED_COLUMNS, _dropped),
        ("processes", "Processes and fork servers", PROCESSES, _PROCESSES_COLUMNS, _processes),
    ):
        own_rows = rows[rows["experiment"] == name]
        if len(own_rows):
            parts += [f"## {title}", text, as_markdown(columns, pd.DataFrame(table(own_rows)))]
    if by_distance := list(_distances(rows)):
        table_of_distances = as_markdown(_DISTANCES_COLUMNS, pd.DataFrame(by_distance))
        parts += ["## Noise by distance", DISTANCES, table_of_distances]
    parts.append(f"Raw: [{RAW_FILE}]({RAW_FILE}), one row per iteration.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def by_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the log of each visit's median seconds: a row per round, a column per worker."""
    keys = ["repetition", "segment", "round"]
    rows = rows.assign(segment=_segments(rows))
    medians = rows.groupby([*keys, "server", "network", "mode", "worker"])["seconds"].median()
    by_worker: pd.DataFrame = medians.unstack(["server", "network", "mode", "worker"])
    return by_worker.dropna().apply(np.log)


def _segments(rows: pd.DataFrame) -> Sequence[int]:
    """Return the number of each row's segment; round numbers start at 0 again in each segment."""
    places = rows["round"] * 1_000_000 + rows["place"] * 1_000 + rows["iteration"]
    return np.cumsum(np.diff(places, prepend=-1) <= 0).tolist()  # type: ignore[no-any-return]


def spread(values: "np.ndarray[Any, Any]") -> float:
    """Return the standard deviation, from the median absolute deviation."""
    return NORMAL_MAD * float(np.median(np.abs(values - np.median(values))))


def error(values: "np.ndarray[Any, Any]") -> float:
    """Return the standard error of the median of independent values."""
    return MEDIAN_ERROR * spread(values) / math.sqrt(len(values))


def _spin(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    arms = sorted(set(rows["arm"]), key=lambda arm: -int(arm) if arm.isdecimal() else -math.inf)
    for arm in arms:
        for way in ("alone", "one", "block"):
            visits = rows[(rows["arm"] == arm) & (rows["way"] == way)]
            if visits.empty:
                continue
            counted = visits[visits["iteration"] >= {"alone": 2, "one": 0, "block": 1}[way]]
            medians = counted.groupby("mode")["seconds"].median()
            row: dict[str, Any] = {
                "arm": arm,
                "way": way,
                **{f"{mode}_s": float(value) for mode, value in medians.items()},
            }
            if way == "alone":
                logs = np.log(medians)
                for mode in ("channels_last", "compile"):
                    row[mode] = float(logs[mode] - logs["eager"])
            else:
                row |= _compare(by_round(counted))
            yield row


def _compare(logs: pd.DataFrame) -> dict[str, Any]:
    modes = logs.T.groupby(level="mode").mean().T
    errors, same = [], []
    for _, part in logs.groupby(level="repetition"):
        for mode in modes:
            first, second = part.xs(mode, axis=1, level="mode").to_numpy().T
            errors.append(error(first - second))
            same.append(float(np.median(first - second)))
    repetitions = logs.index.get_level_values("repetition").nunique()
    return {
        **{
            mode: float((modes[mode] - modes["eager"]).median())
            for mode in ("channels_last", "compile")
        },
        "rounds": len(logs) / repetitions,
        "se": float(np.mean(errors)),
        "same": math.sqrt(float(np.mean(np.square(same)))),
    }


def _first(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for (network, mode), of_cell in rows.groupby(["network", "mode"], sort=False):
        visits = of_cell.pivot_table(
            index=["repetition", "round"], columns="iteration", values="seconds"
        ).to_numpy()
        rest = np.median(visits[:, 2:], axis=1)
        excess = np.log(visits[:, :2] / rest[:, None])
        yield {
            "network": network,
            "mode": mode,
            "latency_s": float(np.median(rest)),
            "first": float(np.median(excess[:, 0])),
            "first_se": error(excess[:, 0]),
            "second": float(np.median(excess[:, 1])),
            "second_se": error(excess[:, 1]),
        }


def _dropped(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for (mode, way), visits in rows.groupby(["mode", "way"], sort=False):
        last = visits["iteration"].max()
        logs = by_round(visits[visits["iteration"] == last])
        first, second = logs.to_numpy().T
        row = {
            "mode": mode,
            "way": way,
            "latency_s": float(visits[visits["iteration"] == last]["seconds"].median()),
            "rounds": len(logs),
            "scatter": spread(first - second),
            "se": error(first - second),
            "first": math.nan,
            "first_se": math.nan,
        }
        if last:
            before = by_round(visits[visits["iteration"] == 0])
            excess = (before - logs).to_numpy().ravel()
            row |= {"first": float(np.median(excess)), "first_se": error(excess)}
        yield row


def _processes(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    counted = rows[rows["iteration"] == 1]
    for arm, of_mode in counted.groupby("arm", sort=False):
        within, servers, errors, rounds = [], [], [], []
        for _, repetition in of_mode.groupby("repetition"):
            logs = by_round(repetition)
            logs = logs.sub(logs.median(axis=1), axis=0)
            worker_medians = logs.median()
            errors.append(float(np.mean([error(logs[name].to_numpy()) for name in logs])))
            by_network = worker_medians.groupby(level=["server", "network"])
            within.append(float((by_network.std() ** 2).mean()))
            means = by_network.mean().unstack("network")
            for first, second in combinations(means.columns, 2):
                servers.append(float((means[first] - means[second]).var()))
            rounds.append(len(logs))
        sd_within = math.sqrt(float(np.mean(within)))
        yield {
            "arm": arm,
            "rounds": float(np.mean(rounds)),
            "se": float(np.mean(errors)),
            "within": sd_within,
            "servers": math.sqrt(float(np.mean(servers))),
            # The sd of the difference of two means of two workers each is that of one worker.
            "expected": sd_within,
        }


def _distances(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    is_single = (rows["way"] == "one") & rows["arm"].isin(["10000", "30000"])
    for name, counted in (
        ("spin", rows[(rows["experiment"] == "spin") & is_single]),
        ("processes", rows[(rows["experiment"] == "processes") & (rows["iteration"] == 1)]),
    ):
        if not len(counted):
            continue
        scatter: dict[int, list[float]] = {}
        for _, of_arm in counted.groupby(["arm", "repetition"]):
            by_segment = of_arm.assign(segment=_segments(of_arm)).groupby("segment")
            for _, segment in by_segment:
                for distance, values in _by_distance(segment):
                    scatter.setdefault(distance, []).extend(values)
        yield {"experiment": name} | {
            str(distance): spread(np.array(scatter[distance]))
            for distance in DISTANCES_SHOWN
            if distance in scatter
        }


def _by_distance(rows: pd.DataFrame) -> Iterator[tuple[int, "np.ndarray[Any, Any]"]]:
    """Yield each distance and the log-ratios of two workers of a mode, less the pair's median."""
    for _, of_mode in rows.groupby("mode"):
        by_worker = of_mode.pivot_table(
            index="round", columns=["server", "network", "worker"], values=["seconds", "place"]
        ).dropna()
        logs, places = np.log(by_worker["seconds"]).to_numpy(), by_worker["place"].to_numpy()
        for first, second in combinations(range(logs.shape[1]), 2):
            ratios = logs[:, first] - logs[:, second]
            ratios = ratios - np.median(ratios)
            distances = np.abs(places[:, first] - places[:, second])
            for distance in np.unique(distances):
                yield int(distance), ratios[distances == distance]
