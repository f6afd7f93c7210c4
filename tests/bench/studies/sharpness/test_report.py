import math
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from bench.api.profiles import MODES
from bench.errors import RequestError
from bench.studies.sharpness import report
from bench.studies.sharpness.live import Iteration

ROW = Iteration(
    experiment="spin",
    arm="10000",
    repetition=0,
    way="one",
    round=0,
    place=0,
    server=0,
    worker=0,
    network="net",
    mode="eager",
    iteration=0,
    seconds=0.1,
)
LATENCY_S = {"eager": 0.04, "channels_last": 0.02, "compile": 0.01}
ROUNDS = 40


def frame(rows: Iterator[Iteration]) -> pd.DataFrame:
    return pd.DataFrame(map(asdict, rows))


def spin(noise: float, drift: float = 0.0) -> Iterator[Iteration]:
    """Yield 2 × 40 rounds of two workers per mode; ``drift`` slows down each round more."""
    generator = random.Random(1)
    for _ in range(2):
        for number in range(ROUNDS):
            for mode in MODES:
                for worker in range(2):
                    slower = math.exp(generator.gauss(0, noise) + drift * number)
                    seconds = LATENCY_S[mode] * slower
                    place = 2 * MODES.index(mode) + worker
                    yield replace(
                        ROW, round=number, place=place, mode=mode, worker=worker, seconds=seconds
                    )


def test_drift_cancels_in_the_ratio() -> None:
    (row,) = report._spin(frame(spin(noise=0.0, drift=0.01)))
    assert row["se"] == row["same"] == pytest.approx(0.0, abs=1e-12)
    assert row["compile"] == pytest.approx(math.log(0.01 / 0.04))
    assert row["rounds"] == 2 * ROUNDS


def test_segments_of_a_single_round_are_kept_apart() -> None:
    segment = [replace(ROW, place=place, worker=place, seconds=0.1) for place in range(2)]
    slower = [replace(row, seconds=0.2) for row in segment]
    assert len(report.by_round(frame(iter([*segment, *slower])))) == 2


def test_the_standard_error_is_that_of_a_median() -> None:
    noise = 0.05
    (row,) = report._spin(frame(spin(noise=noise)))
    expected = math.sqrt(math.pi / 2) * math.sqrt(2) * noise / math.sqrt(2 * ROUNDS)
    assert row["se"] == pytest.approx(expected, rel=0.35)


def walk(step: float) -> Iterator[Iteration]:
    """Yield six workers in random order, on a machine whose speed is a random walk."""
    generator, slower = random.Random(1), 0.0
    for number in range(400):
        for place, worker in enumerate(generator.sample(range(6), 6)):
            slower += generator.gauss(0, step)
            seconds = 0.1 * math.exp(slower + worker)
            yield replace(ROW, round=number, place=place, worker=worker, seconds=seconds)


def test_scatter_grows_with_distance_on_a_machine_that_drifts() -> None:
    (row,) = report._distances(frame(walk(0.01)))
    for distance in (1, 2, 3, 4, 5):
        assert row[str(distance)] == pytest.approx(0.01 * math.sqrt(distance), rel=0.15)


def first(excess: tuple[float, ...]) -> Iterator[Iteration]:
    for number in range(8):
        for iteration, share in enumerate((*excess, 0.0, 0.0, 0.0, 0.0)):
            yield replace(
                ROW,
                experiment="first",
                round=number,
                iteration=iteration,
                seconds=0.02 * math.exp(share),
            )


def test_first_iterations_are_compared_with_the_later_ones() -> None:
    (row,) = report._first(frame(first((0.1, 0.02))))
    assert (row["first"], row["second"]) == pytest.approx((0.1, 0.02))
    assert row["latency_s"] == pytest.approx(0.02)


def dropped() -> Iterator[Iteration]:
    """Yield two workers that are noisier after a dropped iteration, which takes longer."""
    generator = random.Random(1)
    for way, noise in (("one", 0.02), ("second", 0.04)):
        for number in range(ROUNDS):
            for place, worker in enumerate((0, 1)):
                seconds = 0.1 * math.exp(generator.gauss(0, noise))
                row = replace(ROW, experiment="dropped", way=way, round=number, place=place)
                first = replace(row, worker=worker, seconds=seconds)
                if way == "one":
                    yield first
                else:
                    yield replace(first, seconds=seconds * math.exp(0.03))
                    yield replace(first, iteration=1)


def test_visits_with_and_without_a_dropped_iteration_are_compared() -> None:
    one, second = report._dropped(frame(dropped()))
    assert (one["way"], second["way"]) == ("one", "second")
    assert one["rounds"] == second["rounds"] == ROUNDS
    assert one["scatter"] == pytest.approx(0.02 * math.sqrt(2), rel=0.4)
    assert second["se"] > one["se"]
    assert second["first"] == pytest.approx(0.03)
    assert math.isnan(one["first"])
    assert "A dropped iteration" in report.render("a machine", "2.15", frame(dropped()))


def processes(*, within: float, servers: float) -> Iterator[Iteration]:
    """Yield workers that differ by ``within``; the networks' ratio differs by ``servers``."""
    for number in range(12):
        for server in range(2):
            for network in ("a", "b"):
                for worker in range(2):
                    share = within * (worker - 0.5) + servers * server * (network == "b")
                    yield replace(
                        ROW,
                        experiment="processes",
                        arm="eager",
                        round=number,
                        place=4 * server + 2 * (network == "b") + worker,
                        server=server,
                        network=network,
                        worker=worker,
                        iteration=1,
                        seconds=0.02 * math.exp(share),
                    )


def test_the_spread_of_processes_and_servers_is_estimated() -> None:
    (row,) = report._processes(frame(processes(within=0.01, servers=0.03)))
    assert row["within"] == row["expected"] == pytest.approx(0.01 / math.sqrt(2))
    assert row["servers"] == pytest.approx(0.03 / math.sqrt(2))
    (same,) = report._processes(frame(processes(within=0.01, servers=0.0)))
    assert same["servers"] == pytest.approx(0.0, abs=1e-12)


def test_the_page_has_only_the_measured_experiments() -> None:
    page = report.render("AMD EPYC", "2.15.0", frame(first((0.1, 0.02))))
    assert "## The first iterations of a visit" in page
    row = next(line for line in page.splitlines() if line.startswith("| net "))
    assert row.replace(" ", "") == "|net|eager|20.0|10.00|0.00|2.00|0.00|"
    assert "## Processes" not in page


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / report.RAW_FILE
    rows = frame(spin(noise=0.01))
    rows.to_csv(path, index=False, compression="gzip")
    pd.testing.assert_frame_equal(report.read(path), rows)
    assert report.read(tmp_path / "none.csv.gz").empty


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_file_that_is_not_such_a_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / report.RAW_FILE
    pd.Series(content.splitlines()).to_csv(path, index=False, header=False, compression="gzip")
    with pytest.raises(RequestError, match=r"sharpness\.csv\.gz is not a table of this study"):
        report.read(path)
