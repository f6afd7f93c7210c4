import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from bench.report import stage_findings
from bench.stages import store
from bench.stages.table import networks
from bench.stages.vocabulary import INCEPTION_BLOCKS, WHOLE


def part(stage: str, branch: str, macs_share: float, latency_share: float) -> dict[str, object]:
    return {
        "arch": "googlenet",
        "mode": "eager",
        "dtype": "fp32",
        "batch_size": 1,
        "device": "cpu",
        "stage": stage,
        "branch": branch,
        "macs_share": macs_share,
        "latency_share": latency_share,
        "latency_share_low": latency_share - 0.01,
        "latency_share_high": latency_share + 0.01,
    }


ROWS = [
    part("stem", "", 0.30, 0.22),
    part("stem", "pool1", 0.00, 0.06),
    part("3a", "", 0.60, 0.50),
    part("3a", "pool", 0.02, 0.10),
    part("3a", "3×3", 0.58, 0.40),
    part("pool3", "", 0.00, 0.04),
    part("(gap)", "", 0.10, 0.90),
    part("(whole)", "", 1.00, 1.00),
]


def test_the_longest_stage_is_reported_with_its_share_of_macs() -> None:
    (group,) = stage_findings.findings(pd.DataFrame(ROWS))
    assert group.title == "inside googlenet, eager, fp32, batch 1, cpu"
    assert group.sentences[0] == (
        "Among the stages, 3a has the largest share: 50.0 % (49.0–51.0) of the latency, for 60.0 % "
        "of the MACs."
    )


def test_the_shares_of_all_pooling_are_added_up() -> None:
    (group,) = stage_findings.findings(pd.DataFrame(ROWS))
    assert "take about 20 % of the latency, for 2 % of the MACs" in group.sentences[1]


def of_blocks(kinds: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    """Return rows of nine blocks with these branches, by kind: shares of MACs and of latency."""
    return [
        part(block, branch, *shares)
        for block in INCEPTION_BLOCKS
        for branch, shares in {"": (0.08, 0.07), **kinds}.items()
    ]


def test_each_kind_of_branch_has_its_share_over_all_blocks() -> None:
    rows = of_blocks({"1×1": (0.01, 0.02), "3×3": (0.05, 0.03), "5×5": (0.011, 0.012)})
    (group,) = stage_findings.findings(pd.DataFrame([*rows, ROWS[0], ROWS[-1]]))
    # Nine times the share of one branch; each bound is nine times 1 % away.
    assert group.sentences[1] == (
        "Over the 9 Inception blocks, the 1×1 branches take 18.0 % (9.0–27.0) of the latency, for "
        "9.0 % of the MACs; the 3×3 branches 27.0 % (18.0–36.0), for 45.0 %; the 5×5 branches "
        "10.8 % (1.8–19.8), for 9.9 %. The intervals are sums over the blocks, so they are at "
        "least as wide as 95 % intervals."
    )


def test_shares_of_one_set_have_no_interval() -> None:
    unknown = {"latency_share_low": math.nan, "latency_share_high": math.nan}
    rows = [row | unknown for row in of_blocks({"1×1": (0.01, 0.02)})]
    (group,) = stage_findings.findings(pd.DataFrame(rows))
    assert "has the largest share: 7.0 % of the latency" in group.sentences[0]
    assert (
        "the 1×1 branches take 18.0 % of the latency, for 9.0 % of the MACs." in group.sentences[1]
    )


def test_part_of_the_blocks_has_no_sentence_about_branches() -> None:
    rows = of_blocks({"1×1": (0.01, 0.02)})[2:]
    (group,) = stage_findings.findings(pd.DataFrame(rows))
    assert len(group.sentences) == 1


def test_shares_of_the_committed_run_are_sums_of_its_branches() -> None:
    folder = Path(__file__).parents[3] / "reports" / "cpu-amd-epyc-2-cores"
    title, rows = next(networks(store.read(folder / store.FILE)))
    assert title.startswith("googlenet,")
    branch = rows[rows["branch"] == "5×5"]
    assert len(branch) == 9
    shares = [100 * branch[f"latency_share{end}"].sum() for end in ("", "_low", "_high")]
    latency, low, high = (f"{share:.1f}" for share in shares)
    macs = 100 * branch["macs"].sum() / rows.loc[rows["stage"] == WHOLE, "macs"].item()
    assert macs == pytest.approx(9.9, abs=0.05)  # exact counts, whatever the latency
    (group,) = stage_findings.findings(rows)
    assert f"the 5×5 branches {latency} % ({low}–{high}), for {macs:.1f} %" in group.sentences[1]


def test_a_network_without_pools_has_no_sentence_about_them() -> None:
    (group,) = stage_findings.findings(pd.DataFrame([ROWS[0], ROWS[-1]]))
    assert len(group.sentences) == 1
