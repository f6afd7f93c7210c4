import json
import math
from dataclasses import replace

import msgspec
import pytest

from bench.cells import waves
from bench.gate import report
from bench.gate.decision import Gate
from bench.records import store
from bench.records.reported import ArchCost
from tests.bench import runs
from tests.bench.gate import gates

GATE = gates.gate(
    {
        runs.EAGER: gates.SAME,
        runs.COMPILED: gates.SLOWER,
        runs.REFERENCE_EAGER: gates.UNCLEAR,
        runs.FAILED: gates.SAME,
    },
    deltas={runs.EAGER.id: 0.08},
)
FAILED = gates.failed(GATE, runs.FAILED, head=True)


def test_failed_cells_come_first_then_the_slowest() -> None:
    rows = report.frame(FAILED)
    assert list(rows["cell"])[:2] == [runs.FAILED.id, runs.COMPILED.id]
    assert list(rows["ratio"].dropna()) == sorted(rows["ratio"].dropna(), reverse=True)


def test_a_row_has_ratio_interval_sets_and_latencies() -> None:
    (row,) = [row for row in report.frame(GATE).to_dict("records") if "compile" in row["cell"]]
    assert row["verdict"] == "❌ regressed"
    assert row["ratio"] == pytest.approx(math.exp(0.1))
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["sets"] == 6
    assert row["head_s"] / row["base_s"] == pytest.approx(math.exp(0.1))
    assert row["delta"] == GATE.settings.delta


def test_the_least_effect_of_an_exception_is_shown() -> None:
    rows = report.frame(GATE).set_index("cell")
    assert rows.loc[runs.EAGER.id, "delta"] == 0.08


def test_the_headline_has_the_worst_verdict_first() -> None:
    assert report.headline(FAILED) == "1 failed, 1 regressed, 1 inconclusive, 1 unchanged"


@pytest.mark.parametrize(
    ("head", "mark", "exit_code", "sides"),
    [
        (False, "❔ inconclusive: base failed", 3, "base failed while preparing: a | b"),
        (
            True,
            "❔ inconclusive: head and base failed",
            3,
            "head failed while preparing: a | b; base failed while preparing: a | b",
        ),
    ],
)
def test_a_failed_base_is_inconclusive_in_every_output(
    head: bool, mark: str, exit_code: int, sides: str
) -> None:
    gate = gates.failed(gates.gate({runs.EAGER: 2 * gates.SAME}), runs.EAGER, head=head, base=True)
    (pair,) = gate.pairs
    (row,) = report.frame(gate).to_dict("records")
    assert row["verdict"] == mark
    assert report.headline(gate) == "1 inconclusive"
    assert report.sentence(gate, pair) == f"inconclusive: {sides}"
    (line,) = report.annotations(gate)
    assert line == f"::warning title=googlenet-bench {pair.cell.id}::inconclusive: {sides}"
    content = json.loads(report.as_json(gate))
    assert content["exit_code"] == gate.exit_code == exit_code
    assert content["cells"][0]["verdict"] == "inconclusive"
    assert list(content["cells"][0]["failures"]) == list(pair.failures)
    assert "base failed in " in report.render(gate)


def test_changed_counts_are_listed() -> None:
    (pair,) = gates.gate({runs.EAGER: gates.SAME}).pairs
    costs = [ArchCost(params=1000, macs_per_image=7), ArchCost(params=1250, macs_per_image=7)]
    base, head = (
        gates.measured(cell, [1.0], cost=cost)
        for cell, cost in zip((waves.base(runs.EAGER), runs.EAGER), costs, strict=True)
    )
    changes = list(report._changes(GATE, replace(pair, head=head, base=base)))
    assert changes == ["params 1,000 → 1,250 (+25.0%)"]


def test_the_page_folds_details_and_names_both_sides() -> None:
    page = report.render(FAILED)
    assert page.startswith("### googlenet-bench gate: 1 failed, 1 regressed")
    assert "Head abc with uncommitted changes against base def" in page
    assert "head failed in googlenet/channels\\_last" in page
    assert "a &#124; b" in page
    assert "**Note:** it was cut off, and resumed" in page
    assert (
        page.count("<details>") == page.count("</details>") == 4
    )  # stderr, how to read, sets, circumstances
    assert "|    10.5 |" in page  # each set in percent: exp(0.1) is 10.5 % slower


def test_annotations_are_errors_for_regressions_and_failures_and_warnings_for_doubt() -> None:
    lines = list(report.annotations(FAILED))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::error"]
    assert f"googlenet-bench {runs.COMPILED.id}::regressed: head takes 1.105" in lines[0]
    assert "failed: head failed while preparing: a | b" in lines[2]


def test_an_annotation_is_one_line() -> None:
    (line,) = [line for line in report.annotations(GATE) if "regressed" in line]
    assert "\n" not in line
    assert "%" not in line.replace("%25", "").replace("%0A", "")


def test_the_verdict_file_has_a_schema_version_all_sets_and_no_nan() -> None:
    text = report.as_json(FAILED)
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["schema_version"] == report.SCHEMA_VERSION
    assert content["exit_code"] == 1
    assert content["settings"]["delta"] == GATE.settings.delta
    by_id = {cell["id"]: cell for cell in content["cells"]}
    assert by_id[runs.COMPILED.id]["verdict"] == "regressed"
    assert by_id[runs.COMPILED.id]["log_ratios"] == pytest.approx(gates.SLOWER)
    assert by_id[runs.FAILED.id]["verdict"] == "failed"
    assert by_id[runs.FAILED.id]["failures"]["head"]["message"] == "a | b"


def test_the_sentence_says_that_there_are_too_few_sets() -> None:
    gate = gates.gate({runs.EAGER: (0.1,)})
    assert report.sentence(gate, gate.pairs[0]) == "inconclusive after 1 set: it has too few sets"


SLOW_TAIL = gates.gate({runs.EAGER: 2 * gates.SAME}, slow_tail=0.5)


def test_a_slower_tail_is_reported_as_a_regression_of_the_slowest_fifth() -> None:
    assert SLOW_TAIL.exit_code == 1
    (row,) = report.frame(SLOW_TAIL).to_dict("records")
    assert row["verdict"] == "❌ regressed by its tail"
    assert row["ratio"] == pytest.approx(1.0, abs=1e-3)
    assert row["tail"] == pytest.approx(1.5, abs=1e-2)
    assert row["sets"] == 6
    assert report.headline(SLOW_TAIL) == "1 regressed"
    sentence = report.sentence(SLOW_TAIL, SLOW_TAIL.pairs[0])
    assert sentence.startswith(
        "regressed: head takes, in the slowest fifth of its iterations, 1.500"
    )
    assert sentence.endswith("over 6 sets")
    (line,) = report.annotations(SLOW_TAIL)
    assert line.startswith("::error")


def test_the_verdict_file_has_the_verdicts_of_medians_and_tail() -> None:
    (cell,) = json.loads(report.as_json(SLOW_TAIL))["cells"]
    assert cell["verdict"] == "regressed"
    assert cell["judgement"]["verdict"] == "unchanged"
    assert cell["judgement"]["tail"]["verdict"] == "regressed"
    assert cell["tail_log_ratios"] == pytest.approx(6 * [math.log(1.5)], abs=1e-2)


def test_the_code_of_both_sides_is_recorded_and_shown() -> None:
    content = json.loads(report.as_json(GATE))
    for side, code in (("head", gates.HEAD_CODE), ("base", gates.BASE_CODE)):
        assert content[side]["code"] == {"commit": code.commit, "digest": code.digest}
    page = " ".join(report.render(GATE).split())
    assert "| code digest | 111111111111 |" in page
    assert "| commit of base | defdefdefdef |" in page
    assert "| code digest of base | 222222222222 |" in page
    assert Gate.from_run(store.from_json(store.to_json(GATE.run_with_settings))).run == (
        GATE.run_with_settings
    )


def test_a_gate_on_a_loaded_machine_or_with_a_control_that_differs_says_so() -> None:
    reference = runs.REFERENCE_EAGER
    gate = gates.gate({reference: gates.SAME})
    assert not [note for note in report.notes(gate) if "quiet machine" in note or "itself" in note]
    (head,) = gate.run.cells
    slower = [1.5 * visit.host_s[0] for visit in head.visits]
    control = gates.measured(replace(reference, control=True), slower)
    rounds = [replace(each, foreign_cpus=2.5) for each in runs.rounds(reference)]
    half = [replace(each, voided=index % 2 == 0) for index, each in enumerate(rounds)]
    plan = msgspec.structs.replace(gate.run.plan, foreign_cpus=9.0, default_foreign_cpus=0.15)
    run = replace(gate.run, plan=plan, controls=(control,), rounds=tuple(half))
    busy, loaded, differs = list(report.notes(replace(gate, run=run)))[-3:]
    assert busy.startswith("50% of 6 rounds were voided, because other processes used 2.5 CPUs")
    assert loaded.startswith("other processes used 2.5 CPUs on average while this was measured")
    assert differs.startswith(f"head's {reference.arch} eager was measured twice and differs")
    assert "from itself by a factor of 0.667; the 99 % interval" in differs


def test_a_failure_without_output_has_no_folded_text() -> None:
    page = report.render(FAILED)
    silent = replace(gates.FAILURE, stderr="")
    cells = [replace(each, failure=each.failure and silent) for each in FAILED.run.cells]
    assert "<summary>stderr</summary>" in page
    without = report.render(replace(FAILED, run=replace(FAILED.run, cells=tuple(cells))))
    assert "<summary>stderr</summary>" not in without
    assert "head failed in" in without


def test_other_figures_of_both_sides_are_in_a_folded_table() -> None:
    gate = gates.gate({runs.COMPILED: gates.SAME})
    assert "Other figures" not in report.render(gate)
    heads, bases = (
        tuple(replace(record, setups=(runs.setup(of_set),)) for record in records)
        for of_set, records in ((20, gate.run.cells), (0, gate.run.bases))
    )
    page = report.render(replace(gate, run=replace(gate.run, cells=heads, bases=bases)))
    _, _, table = page.partition("Other figures, base → head")
    assert "memory MiB" in table
    assert f"| {runs.COMPILED.id} |    100 → 120 |" in table
