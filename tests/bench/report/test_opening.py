import math
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from bench import stats
from bench.machine.environment import Environment
from bench.records.record import CellRecord, RunRecord
from bench.records.stored_plan import StoredPlan
from bench.report import findings, opening
from bench.trust import assessment, wording
from tests.bench import runs
from tests.bench.report import rungs
from tests.bench.report.rendered import markdown, page


def with_cells(*records: CellRecord) -> RunRecord:
    return replace(runs.small("complete"), cells=records, controls=(), rounds=())


def test_the_title_counts_networks_and_modes_with_figures_and_names_the_device() -> None:
    run = rungs.ladder(modes=("eager", "compile"))
    run = replace(run, cells=(*run.cells, runs.small().cells[3]))  # the last one failed
    archs = {record.cell.arch for record in run.cells if record.has_figures}
    about = Environment(device="cpu", device_name="AMD EPYC", cpu_family=26, physical_cores=2)
    title = opening.title(replace(run, environment=about))
    assert title == f"{len(archs)} networks × 2 modes on AMD EPYC (family 26), 2 cores"


def test_the_title_has_the_singular_and_no_family_on_a_gpu() -> None:
    about = Environment(device="cuda", device_name="NVIDIA H200", cpu_family=26, physical_cores=8)
    run = replace(with_cells(runs.measured(runs.EAGER)), environment=about)
    assert opening.title(run) == "1 network × 1 mode on NVIDIA H200"


@pytest.mark.parametrize(
    ("about", "where"),
    [
        ({}, ""),
        ({"device": "cpu", "device_name": "AMD EPYC"}, " on AMD EPYC"),
        ({"device": "cpu", "device_name": "M1", "physical_cores": 1}, " on M1, 1 core"),
        ({"device": "cpu", "device_name": "X", "cpu_family": 6}, " on X (family 6)"),
    ],
)
def test_unknown_facts_are_left_out_of_the_title(about: dict[str, Any], where: str) -> None:
    run = replace(with_cells(runs.measured(runs.EAGER)), environment=Environment(**about))
    assert opening.title(run) == f"1 network × 1 mode{where}"


def test_the_family_is_read_from_the_benchmarks_facts_of_earlier_files() -> None:
    run = replace(runs.small(), machine_info={"cpu": {"family": 25}})
    assert opening.title(run) == "2 networks, 2 modes on AMD EPYC (family 25), 2 cores"


def test_the_lead_has_the_fastest_cell_of_each_group_as_in_the_findings() -> None:
    run = runs.small()
    first, second, trust = opening.lead(run)
    shown = re.search(r"batch 1: (.+?), (\S+) ms, (\S+) times as fast as (.+?)\.$", first)
    assert shown
    name, ms, ratio, reference = shown.groups()
    (group, _) = findings.find(run)
    assert group.sentences[0].startswith(f"{name} has the lowest latency, {ms} (")
    pattern = rf"and is {re.escape(ratio)} \(\S+\) times as fast as {reference}"
    assert re.search(pattern, group.sentences[0])
    assert first.startswith("Lowest latency with batch 1: googlenet in compile, 15.1 ms, ")
    assert second.startswith("Lowest latency with batch 8: googlenet in eager, ")
    assert trust.startswith("The controls agree: this run can be trusted")


def test_the_lead_says_how_many_cells_may_be_as_fast() -> None:
    run = rungs.ladder(("eager",), torchvision=rungs.THREE * rungs.POOL * 0.9999)
    first = next(opening.lead(run))
    assert first.startswith("Lowest latency: ")
    assert re.search(r"in eager, [\d.]+ ms; 1 other may be as fast\.$", first)


def test_the_lead_names_two_groups_and_counts_the_others() -> None:
    like = runs.measured(runs.EAGER)
    cells = [
        replace(like, cell=runs.cell(arch, batch_size=size))
        for size, arch in product((1, 2, 4, 8), ("a", "b"))
    ]
    first, second, others, _ = opening.lead(with_cells(*cells))
    assert re.match(r"Lowest latency with batch 1: . in eager, ", first)
    assert re.match(r"Lowest latency with batch 2: . in eager, ", second)
    assert others == "The table below has 2 more groups."


def test_one_cell_has_a_latency_that_is_not_called_the_lowest() -> None:
    first, trust = opening.lead(with_cells(runs.measured(runs.EAGER)))
    assert re.fullmatch(r"Latency: googlenet in eager, [\d.]+ ms\.", first)
    assert trust.startswith("No control was measured")


def test_a_run_without_figures_has_no_lead() -> None:
    run = runs.small("interrupted")
    assert list(opening.lead(replace(run, cells=(run.cells[-1],)))) == []


def test_the_lead_has_the_first_warning_which_markdown_does_not_repeat() -> None:
    run = runs.small()
    busy = replace(run, rounds=tuple(replace(round_, voided=True) for round_ in run.rounds))
    warning = next(wording.warnings(busy))
    assert list(opening.lead(busy))[-1] == warning
    assert markdown(busy).count("the machine was too busy") == 2
    assert page(busy).index('<p class="banner">') < page(busy).index('<p class="lead">')


def with_trust(monkeypatch: pytest.MonkeyPatch, *changes: dict[str, Any]) -> str:
    """Return the verdict on two precise, undisturbed groups, after ``changes`` to each."""
    run = runs.small()
    good = {"precision": 0.03, "widest": 0.02, "disturbed_share": 0.1}
    groups = [
        replace(each, **(good | change))
        for each, change in zip(assessment.assess(run), changes, strict=True)
    ]
    monkeypatch.setattr(wording, "assess", lambda _: tuple(groups))
    names = {group.group: f"batch {size}" for group, size in zip(groups, (1, 8), strict=True)}
    return wording.verdict(run, names)


@pytest.mark.parametrize(
    ("changes", "but"),
    [
        (({}, {}), ""),
        (({}, {"widest": 0.032}), ", but batch 8 is less precise than requested"),
        (({}, {"widest": 0.032, "precision": stats.ANY_PRECISION}), ""),
        (
            ({"widest": 0.032}, {"widest": 0.04}),
            ", but batch 1 and batch 8 are less precise than requested",
        ),
        (({"disturbed_share": 0.25}, {"disturbed_share": math.nan}), ""),
        (
            ({}, {"widest": 0.032, "disturbed_share": 0.366}),
            ", but batch 8 is less precise than requested and often disturbed by other processes",
        ),
        (
            ({"widest": 0.032}, {"disturbed_share": 0.366}),
            ", but batch 1 is less precise than requested, and batch 8 is often disturbed by other "
            "processes",
        ),
    ],
)
def test_the_lead_names_what_limits_the_trust(
    monkeypatch: pytest.MonkeyPatch, changes: tuple[dict[str, Any], ...], but: str
) -> None:
    trust = with_trust(monkeypatch, *changes)
    assert trust == f"The controls agree: this run can be trusted{but}."


def test_a_group_without_a_control_is_not_trusted() -> None:
    run = replace(runs.small(), controls=runs.small().controls[:1])
    assert wording.verdict(run, {}) == (
        "1 of 2 groups have a control; it is unknown whether the others can be trusted."
    )


def test_pytorchs_version_is_among_the_facts_below_the_lead() -> None:
    run = runs.small()
    facts = list(opening.about(run))
    assert facts[:2] == ["PyTorch 2.11.0", "7 cells"]
    assert list(
        opening.about(replace(run, environment=Environment(), plan=StoredPlan(), datetime=""))
    ) == ["7 cells"]
    assert " · ".join(facts[:2]) in markdown(run)
    assert "<span>PyTorch 2.11.0</span>" in page(run)
