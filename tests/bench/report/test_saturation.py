"""Synthetic throughputs as shares of the best; the expected results follow from their intervals."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.record import CellRecord, RunRecord, Visit
from bench.report import files, findings, saturation
from bench.report.saturation import BY_INTERVALS, NOT_REACHED, UNSURE
from tests.bench import runs
from tests.bench.report.rendered import markdown

BEST_IMAGES_PER_S = 1000.0


def measured(batch_size: int, by_set: tuple[float, ...]) -> CellRecord:
    """Return a cell whose throughput per set is a share of ``BEST_IMAGES_PER_S``."""
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
    """Return the machine's drift in a set; it affects all batch sizes and cancels in the shares."""
    return 1 + 0.2 * set_index


def sweep(shares: Mapping[int, tuple[float, ...]]) -> RunRecord:
    return replace(
        runs.small("complete"),
        cells=tuple(measured(size, by_set) for size, by_set in shares.items()),
        controls=(),
        rounds=(),
    )


BEST = (1.0, 1.0, 1.0)


def around(share: float, spread: float) -> tuple[float, float, float]:
    return share - spread, share, share + spread


@pytest.mark.parametrize(
    ("shares", "saturated_from", "shown"),
    [
        ({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: BEST}, 8, BY_INTERVALS),
        ({1: around(0.4, 0.01), 8: around(0.96, 0.02), 32: BEST}, 8, UNSURE),  # 8 may be below 95 %
        (
            {1: around(0.94, 0.02), 8: around(0.98, 0.002), 32: BEST},
            8,
            UNSURE,
        ),  # 1 may be above 95 %
        (
            {1: around(0.4, 0.01), 8: BEST, 32: around(0.99, 0.05)},
            8,
            BY_INTERVALS,
        ),  # the largest may be the best
        ({1: BEST, 8: around(0.9, 0.01), 32: around(0.8, 0.01)}, 1, BY_INTERVALS),
        (
            {1: around(0.4, 0.01), 8: around(0.8, 0.01), 32: BEST},
            32,
            f"{BY_INTERVALS}; {NOT_REACHED}",
        ),
        ({1: around(0.4, 0.01), 8: around(0.94, 0.05), 32: BEST}, 32, f"{UNSURE}; {NOT_REACHED}"),
        ({1: (0.4,), 8: (0.97,), 32: (1.0,)}, 8, UNSURE),  # one set only
    ],
)
def test_the_smallest_batch_within_five_percent_and_its_certainty(
    shares: Mapping[int, tuple[float, ...]], saturated_from: int, shown: str
) -> None:
    (row,) = saturation.frame(sweep(shares)).to_dict("records")
    assert (row["saturated_from"], row["shown"]) == (saturated_from, shown)
    assert row["is_reached"] is (saturated_from != 32)
    assert row["batch_sizes"] == "1, 8, 32"


def test_drift_between_sets_cancels_in_the_shares() -> None:
    (result,) = saturation.find(sweep({1: (0.5,) * 3, 8: (0.96,) * 3, 32: BEST}))
    share = result.shares[8]
    assert share.estimate == pytest.approx(0.96)
    assert share.high - share.low < 1e-9
    assert math.isnan(result.shares[32].low)
    assert result.is_by_intervals


def test_the_order_of_measuring_does_not_matter() -> None:
    shares = {32: BEST, 1: around(0.4, 0.01), 8: around(0.97, 0.002)}
    (row,) = saturation.frame(sweep(shares)).to_dict("records")
    assert (row["best_batch_size"], row["saturated_from"]) == (32, 8)
    assert row["share_of_best"] == pytest.approx(0.97, abs=1e-4)


@pytest.mark.parametrize("sizes", [(1,), (1, 8)])
def test_two_batch_sizes_give_no_result(sizes: tuple[int, ...]) -> None:
    run = sweep(dict.fromkeys(sizes, BEST))
    assert saturation.frame(run).empty
    assert not list(saturation.findings(run))
    assert '"Saturated" is' not in markdown(run)


def test_a_failed_batch_size_does_not_count() -> None:
    run = sweep({1: BEST, 8: BEST, 32: BEST})
    failed = replace(run.cells[-1], failure=runs.FAILURE)
    assert saturation.frame(replace(run, cells=(*run.cells[:2], failed))).empty


def test_findings_state_their_certainty() -> None:
    sure = sweep({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: BEST})
    (text,) = (sentence for group in findings.find(sure) for sentence in group.sentences
               if "saturated" in sentence)  # fmt: skip
    assert text.startswith(
        "net in eager is saturated from batch 8 on, by these intervals: among batches 1, 8, 32,"
    )
    assert text.endswith("images/s at batch 32.")
    unsure = sweep({1: around(0.94, 0.02), 8: around(0.98, 0.002), 32: BEST})
    ((_, (text,)),) = saturation.findings(unsure)
    assert "from batch 8 on, by the estimates alone: " in text
    rising = sweep({1: around(0.4, 0.01), 8: around(0.8, 0.01), 32: BEST})
    ((title, (text,)),) = saturation.findings(rising)
    assert title == "fp32, infer, cpu, over batch sizes"
    assert "is not saturated" in text
    assert "no smaller batch is within 5 % of it, by these intervals." in text


def test_reports_have_saturation_and_lose_that_of_an_earlier_run(tmp_path: Path) -> None:
    with_saturation = sweep({1: around(0.4, 0.01), 8: around(0.97, 0.002), 32: BEST})
    assert tmp_path / "saturation.csv" in files.write(with_saturation, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| 1, 8, 32" in text
    section = text[text.index("## Throughput against") : text.index("## How to read")]
    assert "shown" not in section
    assert "only drift slower than a set cancels" in section
    assert "picked from the same\nfigures" in section
    assert 'id="throughput"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    files.write(runs.small(), tmp_path)
    assert not (tmp_path / "saturation.csv").exists()
    assert 'id="throughput"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
