import math

import pandas as pd
import pytest

from bench import means
from bench.stages import table
from bench.stages.store import COLUMNS
from googlenet.table1 import PAPER_ROWS
from tests.bench.stages import made

MEAN_S = sum(made.WHOLE_S) / len(made.WHOLE_S)
ALL_MACS = made.CONV_MACS + made.FC_MACS + made.OUTSIDE_MACS


def rows_of(frame: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    return {(row["stage"], row["branch"]): row for _, row in frame.iterrows()}


def test_every_part_has_a_row_followed_by_the_gap_and_the_whole() -> None:
    rows = table.frame([made.small()])
    assert tuple(rows.columns) == COLUMNS
    assert list(rows_of(rows)) == [
        *(("conv", ""), ("conv", "left"), ("conv", "right"), ("fc", "")),
        *(("(gap)", ""), ("(whole)", "")),
    ]
    assert set(rows["sets"]) == {len(made.WHOLE_S)}
    assert set(rows["arch"]) == {"small"}


def test_stages_and_gap_add_up_to_the_whole() -> None:
    rows = rows_of(table.frame([made.small()]))
    for column in ("macs", "macs_share", "latency_s", "latency_share"):
        parts = [rows[stage, ""][column] for stage in ("conv", "fc", "(gap)")]
        assert sum(parts) == pytest.approx(rows["(whole)", ""][column]), column


def test_figures_are_means_over_sets_with_their_intervals() -> None:
    conv = rows_of(table.frame([made.small()]))["conv", ""]
    expected = means.interval([whole_s / 2 for whole_s in made.WHOLE_S])
    assert conv["latency_s"] == pytest.approx(MEAN_S / 2)
    assert conv["latency_s_low"] == pytest.approx(expected.low)
    assert conv["latency_s_high"] == pytest.approx(expected.high)
    assert conv["latency_share"] == conv["latency_share_low"] == conv["latency_share_high"] == 0.5
    assert conv["macs_share"] == made.CONV_MACS / ALL_MACS


def test_one_set_has_no_intervals() -> None:
    rows = table.frame([made.small(sets=1)])
    assert rows["latency_s"].notna().all()
    assert rows["latency_s_low"].isna().all()
    ((title, _),) = table.titled(rows)
    assert ", 1 set, " in title


def test_macs_are_those_of_the_whole_batch() -> None:
    rows = rows_of(table.frame([made.small(batch_size=8)]))
    assert rows["fc", ""]["macs"] == 8 * made.FC_MACS
    assert rows["(gap)", ""]["macs"] == 8 * made.OUTSIDE_MACS
    assert rows["fc", ""]["gmacs_per_s"] == pytest.approx(8 * made.FC_MACS / (MEAN_S / 8) / 1e9)


def test_part_without_macs_has_no_rate() -> None:
    rows = rows_of(table.frame([made.small()]))
    assert math.isnan(rows["conv", "right"]["gmacs_per_s"])
    assert rows["conv", "left"]["gmacs_per_s"] > 0


def test_hook_cost_is_one_pair_for_a_part_and_all_pairs_for_the_whole() -> None:
    rows = rows_of(table.frame([made.small()]))
    assert rows["conv", ""]["hook_cost_s"] == rows["conv", "left"]["hook_cost_s"] == made.PAIR_S
    assert rows["(whole)", ""]["hook_cost_s"] == made.HOOKS_S
    assert math.isnan(rows["(gap)", ""]["hook_cost_s"])


def test_rows_of_googlenet_have_the_values_of_table_1() -> None:
    rows = rows_of(table.frame([made.googlenet()]))
    printed = {row.name: float(row.ops.removesuffix("M")) * 1e6 for row in PAPER_ROWS}
    assert rows["3a", ""]["paper_macs_per_image"] == printed["3a"]
    assert rows["stem", "conv2"]["paper_macs_per_image"] == printed["conv2"]
    assert rows["(whole)", ""]["paper_macs_per_image"] == sum(printed.values())
    assert math.isnan(rows["pool3", ""]["paper_macs_per_image"])


def test_other_images_and_networks_have_no_values_of_table_1() -> None:
    for other in (made.googlenet(image_size=192), made.small()):
        assert table.frame([other])["paper_macs_per_image"].isna().all()


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_text_formats_show_the_sum_of_stages_and_the_hook_cost(form: str) -> None:
    text = table.render(form, table.frame([made.small()]))
    assert "small, eager, fp32, batch 1, cpu, 32×32, 3 sets, AMD EPYC, PyTorch 2.15.0, " in text
    assert "add up to 469 ms, and a forward pass without hooks takes 750 ms" in text
    assert "a gap of 281 ms (37.5 %)" in text
    assert "64.0 µs longer; a pair of hooks on an empty module measures 2.0 µs" in text
    assert "CUDA" not in text
    assert "Table 1" not in text


def test_notes_for_cuda_explain_which_clock_is_used() -> None:
    assert "On a CUDA device" in table.render("rich", table.frame([made.small(device="cuda:0")]))


def test_every_network_has_its_own_table() -> None:
    text = table.render("markdown", table.frame([made.small(), made.googlenet()]))
    assert text.count("\n| stage") + text.startswith("| stage") == 2
    assert text.index("## small") < text.index("## googlenet")
    assert text.count("Latencies are means") == 1
    assert " Table 1 |" in text
    assert "the paper's count" in text


def test_branch_column_is_omitted_if_there_are_no_branches() -> None:
    rows = table.frame([made.small()])
    stages = rows[rows["branch"] == ""]
    assert " branch " in table.render("rich", rows).splitlines()[3]
    assert " branch " not in table.render("rich", stages).splitlines()[3]


def test_csv_contains_only_the_rows() -> None:
    text = table.render("csv", table.frame([made.small(), made.googlenet()]))
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert "add up" not in text
