"""Throughputs made up as shares of the best; the expected words follow from their intervals."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.record import CellRecord, RunRecord, Visit
from bench.report import files, findings, markdown, saturation
from bench.report.saturation import BY_INTERVALS, NOT_REACHED, UNSURE
from tests.bench import runs

BEST_IMAGES_PER_S = 1000.0


def measured(batch_size: int, by_set: tuple[float, ...]) -> CellRecord:
    """A cell whose throughput in each set is this share of ``BEST_IMAGES_PER_S``."""
    return CellRecord(
        cell=runs.cell("net", batch_size=batch_size),
        visits=tuple(
            Visit(
                set_index=index,
                round_index=0,
                host_s=(batch_size / (share * BEST_IMAGES_PER_S * drift(index)),),
            )
            for index, share in enumerate(by_set)
        ),
    )


def drift(set_index: int) -> float:
    """Of the machine, from set to set: it is in every batch size, and in no share."""
    return 1 + 0.2 * set_index


def run_of(shares: Mapping[int, tuple[float, ...]]) -> RunRecord:
    return replace(
        runs.small("complete"),
        cells=tuple(measured(size, by_set) for size, by_set in shares.items()),
        controls=(),
        rounds=(),
    )


ONE = (1.0, 1.0, 1.0)


def around(share: float, reach: float) -> tuple[float, float, float]:
    return share - reach, share, share + reach


@pytest.mark.parametrize(
    ("shares", "saturated_from", "shown"),
    [
        ({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: ONE}, 8, BY_INTERVALS),
        ({1: around(0.4, 0.01), 8: around(0.96, 0.02), 32: ONE}, 8, UNSURE),  # it may not be near
        ({1: around(0.94, 0.02), 8: around(0.98, 0.002), 32: ONE}, 8, UNSURE),  # 1 may be
        (
            {1: around(0.4, 0.01), 8: ONE, 32: around(0.99, 0.05)},
            8,
            BY_INTERVALS,
        ),  # what is larger may be
        ({1: ONE, 8: around(0.9, 0.01), 32: around(0.8, 0.01)}, 1, BY_INTERVALS),
        (
            {1: around(0.4, 0.01), 8: around(0.8, 0.01), 32: ONE},
            32,
            f"{BY_INTERVALS}; {NOT_REACHED}",
        ),
        ({1: around(0.4, 0.01), 8: around(0.94, 0.05), 32: ONE}, 32, f"{UNSURE}; {NOT_REACHED}"),
        ({1: (0.4,), 8: (0.97,), 32: (1.0,)}, 8, UNSURE),  # of one set
    ],
)
def test_the_smallest_within_five_percent_and_how_sure(
    shares: Mapping[int, tuple[float, ...]], saturated_from: int, shown: str
) -> None:
    (row,) = saturation.frame(run_of(shares)).to_dict("records")
    assert (row["saturated_from"], row["shown"]) == (saturated_from, shown)
    assert row["is_reached"] is (saturated_from != 32)
    assert row["batch_sizes"] == "1, 8, 32"


def test_drift_from_set_to_set_is_in_no_share() -> None:
    (found,) = saturation.find(run_of({1: (0.5,) * 3, 8: (0.96,) * 3, 32: ONE}))
    share = found.shares[8]
    assert share.estimate == pytest.approx(0.96)
    assert share.high - share.low < 1e-9
    assert math.isnan(found.shares[32].low)
    assert found.is_by_intervals


def test_the_order_of_measuring_does_not_matter() -> None:
    shares = {32: ONE, 1: around(0.4, 0.01), 8: around(0.97, 0.002)}
    (row,) = saturation.frame(run_of(shares)).to_dict("records")
    assert (row["best_batch_size"], row["saturated_from"]) == (32, 8)
    assert row["share_of_best"] == pytest.approx(0.97, abs=1e-4)


@pytest.mark.parametrize("sizes", [(1,), (1, 8)])
def test_two_batch_sizes_say_nothing(sizes: tuple[int, ...]) -> None:
    run = run_of(dict.fromkeys(sizes, ONE))
    assert saturation.frame(run).empty
    assert not list(saturation.findings(run))
    assert "Saturated is" not in markdown.render(run)


def test_a_size_that_failed_is_not_there() -> None:
    run = run_of({1: ONE, 8: ONE, 32: ONE})
    failed = replace(run.cells[-1], failure=runs.FAILURE)
    assert saturation.frame(replace(run, cells=(*run.cells[:2], failed))).empty


def test_it_is_said_only_as_surely_as_it_is_known() -> None:
    sure = run_of({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: ONE})
    (said,) = (sentence for found in findings.find(sure) for sentence in found.sentences
               if "saturated" in sentence)  # fmt: skip
    assert said.startswith(
        "net in eager is saturated from batch 8 on, by these intervals: of 1, 8, 32 "
    )
    assert said.endswith("images/s at batch 32.")
    unsure = run_of({1: around(0.94, 0.02), 8: around(0.98, 0.002), 32: ONE})
    ((_, (said,)),) = saturation.findings(unsure)
    assert "from batch 8 on, by the estimates alone: " in said
    rising = run_of({1: around(0.4, 0.01), 8: around(0.8, 0.01), 32: ONE})
    ((title, (said,)),) = saturation.findings(rising)
    assert title == "fp32, infer, cpu, over batch sizes"
    assert "is not saturated" in said
    assert "none smaller comes within 5 % of it, by these intervals." in said


def test_the_report_has_it_and_an_earlier_run_s_goes(tmp_path: Path) -> None:
    swept = run_of({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: ONE})
    assert tmp_path / "saturation.csv" in files.write(swept, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| 1, 8, 32" in text
    section = text[text.index("## Throughput against") : text.index("## How to read")]
    assert "shown" not in section
    assert "only\ndrift slower than a set cancels" in section
    assert "picked from the same figures" in section
    assert 'id="saturation"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    files.write(runs.small(), tmp_path)
    assert not (tmp_path / "saturation.csv").exists()
    assert 'id="saturation"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
