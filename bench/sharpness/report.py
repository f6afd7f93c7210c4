"""The study's page: ``sharpness.md``. Pure, except ``read``: rows in, text out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.means import NORMAL_MAD
from bench.names import RequestError
from bench.sharpness.live import Iteration
from bench.tables import Column, as_markdown, scaled

FILE = "sharpness.md"
RAW_FILE = "sharpness.csv.gz"
APART = (1, 2, 3, 4, 5, 8, 12)
MEDIAN_ERROR = math.sqrt(math.pi / 2)  # of a median over that of a mean, for normal noise

PERCENT, MS = scaled(100, 2), scaled(1e3, 1)
INTRODUCTION = """\
What disturbs the ratio of two networks, and what sharpens it. Batch 1, fp32; what follows from it
is in [docs/sharpness.md](../../docs/sharpness.md). Standard errors (se) are of a median, by the
median absolute deviation.
"""
SPIN = """\
Two workers of torchvision's GoogLeNet in each of three modes, alive together. *alone*: 20
iterations of one worker after two that are dropped, while the others are idle. *one*: visits of one
iteration, nothing dropped, no pause. *block*: one dropped and six timed after a pause of 5 ms. Both
had the same time. *se* is of the log-ratio of the two workers of a mode, the mean over modes: how
sharp a comparison is after that time. *A/A* is the root mean square of those log-ratios, which
should be 0.
"""
FIRST = """\
Visits of six iterations after other networks' visits: how much longer the first and the second take
than the median of the last four.
"""
DROPPED = """\
Two workers of torchvision's GoogLeNet in each of three modes, neighbours in each round, visited for
one iteration (*one*), or for one after a dropped one (*second*), in turn for 2.5 s each. *scatter*:
of the log-ratio of the two workers from round to round. *se*: of its median, after the same time.
*first*: how much longer the dropped iteration took than the timed one.
"""
PROCESSES = """\
Two networks, two workers of each in each of several fork servers, all alive together, visited for
one timed iteration after a dropped one. *within*: standard deviation of workers of one network and
server. *servers*: standard deviation of the networks' log-ratio from server to server. *expected*:
what *servers* would be if only the rounds' noise and *within* were there.
"""
DISTANCES = """\
How much the log-ratio of two workers of one mode scatters from round to round (1.4826 times the
median absolute deviation), by how many visits they are apart in the round: 1 is a neighbour.
*spin* here: only visits of one iteration, with a count of 10,000 or 30,000.
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
    *(Column(name=str(apart), heading=str(apart), write=PERCENT) for apart in APART),
)


def read(path: Path) -> pd.DataFrame:
    """Every iteration of a study; none where there is no file.

    Raises ``RequestError`` where it is another file.
    """
    names = [field.name for field in fields(Iteration)]
    if not path.exists():
        return pd.DataFrame(columns=names)
    try:
        found = pd.read_csv(path, keep_default_na=False, dtype={"arm": str})
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is no study: {error}") from error
    if list(found.columns) != names:
        raise RequestError(f"{path} is no study: its columns are {', '.join(found.columns)}")
    return found


def render(machine: str, torch: str, rows: pd.DataFrame) -> str:
    """The page of one machine."""
    parts = ["# What sharpens a ratio", f"{machine}, PyTorch {torch}.", INTRODUCTION]
    for name, title, text, columns, table in (
        ("spin", "Spinning threads, and the length of visits", SPIN, _SPIN_COLUMNS, _spin),
        ("first", "The first iterations of a visit", FIRST, _FIRST_COLUMNS, _first),
        ("dropped", "A dropped iteration", DROPPED, _DROPPED_COLUMNS, _dropped),
        ("processes", "Processes and fork servers", PROCESSES, _PROCESSES_COLUMNS, _processes),
    ):
        of_it = rows[rows["experiment"] == name]
        if len(of_it):
            parts += [f"## {title}", text, as_markdown(columns, pd.DataFrame(table(of_it)))]
    if apart := list(_distances(rows)):
        distances = as_markdown(_DISTANCES_COLUMNS, pd.DataFrame(apart))
        parts += ["## Noise by distance", DISTANCES, distances]
    parts.append(f"Raw: [{RAW_FILE}]({RAW_FILE}), a row for each iteration.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def by_round(rows: pd.DataFrame) -> pd.DataFrame:
    """The logarithm of a visit's median iteration: a row for each round, a column a worker."""
    keys = ["repetition", "segment", "round"]
    rows = rows.assign(segment=_segments(rows))
    of_visits = rows.groupby([*keys, "server", "network", "mode", "worker"])["seconds"].median()
    by_worker: pd.DataFrame = of_visits.unstack(["server", "network", "mode", "worker"])
    return by_worker.dropna().apply(np.log)


def _segments(rows: pd.DataFrame) -> Sequence[int]:
    """Which stretch of rounds a row is of: their numbers begin anew with each."""
    places = rows["round"] * 1_000_000 + rows["place"] * 1_000 + rows["iteration"]
    return np.cumsum(np.diff(places, prepend=-1) <= 0).tolist()  # type: ignore[no-any-return]


def spread(values: "np.ndarray[Any, Any]") -> float:
    """Standard deviation by the median absolute deviation."""
    return NORMAL_MAD * float(np.median(np.abs(values - np.median(values))))


def error(values: "np.ndarray[Any, Any]") -> float:
    """Standard error of the median of independent values."""
    return MEDIAN_ERROR * spread(values) / math.sqrt(len(values))


def _spin(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    arms = sorted(set(rows["arm"]), key=lambda arm: -int(arm) if arm.isdecimal() else -math.inf)
    for arm in arms:
        for way in ("alone", "one", "block"):
            of_way = rows[(rows["arm"] == arm) & (rows["way"] == way)]
            if of_way.empty:
                continue
            counted = of_way[of_way["iteration"] >= {"alone": 2, "one": 0, "block": 1}[way]]
            medians = counted.groupby("mode")["seconds"].median()
            found: dict[str, Any] = {
                "arm": arm,
                "way": way,
                **{f"{mode}_s": float(value) for mode, value in medians.items()},
            }
            if way == "alone":
                logs = np.log(medians)
                for mode in ("channels_last", "compile"):
                    found[mode] = float(logs[mode] - logs["eager"])
            else:
                found |= _compared(by_round(counted))
            yield found


def _compared(logs: pd.DataFrame) -> dict[str, Any]:
    modes = logs.T.groupby(level="mode").mean().T
    errors, same = [], []
    for _, part in logs.groupby(level="repetition"):
        for mode in modes:
            one, other = part.xs(mode, axis=1, level="mode").to_numpy().T
            errors.append(error(one - other))
            same.append(float(np.median(one - other)))
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
        above = np.log(visits[:, :2] / rest[:, None])
        yield {
            "network": network,
            "mode": mode,
            "latency_s": float(np.median(rest)),
            "first": float(np.median(above[:, 0])),
            "first_se": error(above[:, 0]),
            "second": float(np.median(above[:, 1])),
            "second_se": error(above[:, 1]),
        }


def _dropped(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for (mode, way), of_way in rows.groupby(["mode", "way"], sort=False):
        last = of_way["iteration"].max()
        logs = by_round(of_way[of_way["iteration"] == last])
        one, other = logs.to_numpy().T
        found = {
            "mode": mode,
            "way": way,
            "latency_s": float(of_way[of_way["iteration"] == last]["seconds"].median()),
            "rounds": len(logs),
            "scatter": spread(one - other),
            "se": error(one - other),
            "first": math.nan,
            "first_se": math.nan,
        }
        if last:
            before = by_round(of_way[of_way["iteration"] == 0])
            above = (before - logs).to_numpy().ravel()
            found |= {"first": float(np.median(above)), "first_se": error(above)}
        yield found


def _processes(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    counted = rows[rows["iteration"] == 1]
    for arm, of_mode in counted.groupby("arm", sort=False):
        within, servers, errors, rounds = [], [], [], []
        for _, of_one in of_mode.groupby("repetition"):
            logs = by_round(of_one)
            logs = logs.sub(logs.median(axis=1), axis=0)
            of_worker = logs.median()
            errors.append(float(np.mean([error(logs[name].to_numpy()) for name in logs])))
            of_network = of_worker.groupby(level=["server", "network"])
            within.append(float((of_network.std() ** 2).mean()))
            means = of_network.mean().unstack("network")
            for one, other in combinations(means.columns, 2):
                servers.append(float((means[one] - means[other]).var()))
            rounds.append(len(logs))
        sd_within = math.sqrt(float(np.mean(within)))
        yield {
            "arm": arm,
            "rounds": float(np.mean(rounds)),
            "se": float(np.mean(errors)),
            "within": sd_within,
            "servers": math.sqrt(float(np.mean(servers))),
            # The difference of two means of two workers each.
            "expected": sd_within,
        }


def _distances(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    of_spin = (rows["way"] == "one") & rows["arm"].isin(["10000", "30000"])
    for name, counted in (
        ("spin", rows[(rows["experiment"] == "spin") & of_spin]),
        ("processes", rows[(rows["experiment"] == "processes") & (rows["iteration"] == 1)]),
    ):
        if not len(counted):
            continue
        scatter: dict[int, list[float]] = {}
        for _, of_arm in counted.groupby(["arm", "repetition"]):
            by_segment = of_arm.assign(segment=_segments(of_arm)).groupby("segment")
            for _, segment in by_segment:
                for apart, values in _by_distance(segment):
                    scatter.setdefault(apart, []).extend(values)
        yield {"experiment": name} | {
            str(apart): spread(np.array(scatter[apart])) for apart in APART if apart in scatter
        }


def _by_distance(rows: pd.DataFrame) -> Iterator[tuple[int, "np.ndarray[Any, Any]"]]:
    """Log-ratios of each two workers of a mode, each pair's median taken off, by their distance."""
    for _, of_mode in rows.groupby("mode"):
        by_worker = of_mode.pivot_table(
            index="round", columns=["server", "network", "worker"], values=["seconds", "place"]
        ).dropna()
        logs, places = np.log(by_worker["seconds"]).to_numpy(), by_worker["place"].to_numpy()
        for one, other in combinations(range(logs.shape[1]), 2):
            ratios = logs[:, one] - logs[:, other]
            ratios = ratios - np.median(ratios)
            distances = np.abs(places[:, one] - places[:, other])
            for apart in np.unique(distances):
                yield int(apart), ratios[distances == apart]
