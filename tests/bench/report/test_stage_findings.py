import pandas as pd

from bench.report import stage_findings


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


def test_a_network_without_pools_has_no_sentence_about_them() -> None:
    (group,) = stage_findings.findings(pd.DataFrame([ROWS[0], ROWS[-1]]))
    assert len(group.sentences) == 1
