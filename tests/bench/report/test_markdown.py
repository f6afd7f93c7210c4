import re
from dataclasses import replace

import msgspec
import pytest

from bench.records.record import RunRecord
from bench.records.reported import Ceiling
from bench.report import charts, frame, roofline, summary
from bench.tables import escaped
from tests.bench import runs
from tests.bench.report import rungs
from tests.bench.report.rendered import markdown


def without_fences(text: str) -> str:
    """Return Markdown without its fenced code."""
    lines, fence = [], ""
    for line in text.splitlines():
        opening = re.match(r"`{3,}", line)
        if fence:
            if opening and set(line.strip()) == {"`"} and len(line.strip()) >= len(fence):
                fence = ""
        elif opening:
            fence = opening[0]
        else:
            lines.append(line)
    assert not fence, "a fence is not closed"
    return "\n".join(lines)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ .*$", without_fences(text), re.MULTILINE)


def test_sections_are_in_order_with_failures_first() -> None:
    assert headings(markdown(runs.small())) == [
        "# 2 networks, 2 modes on AMD EPYC, 2 cores",
        "## Cells without figures",
        "## All cells",
        "### fp32, batch 1, infer, cpu",
        "### fp32, batch 8, infer, cpu",
        "## Findings",
        "### fp32, batch 1, infer, cpu",
        "### fp32, batch 8, infer, cpu",
        "## Can this run be trusted?",
        "### Notes",
        "## How to read this",
        "## Circumstances",
    ]


def test_roofline_section_appears_if_ceilings_were_measured() -> None:
    run = replace(runs.small(), ceilings=runs.CEILINGS)
    text = markdown(run)
    section = "## How far from the limit"
    added = [section, "### Limits of the device", "### Distance of each cell from the limit"]
    assert headings(text) == [
        heading
        for usual in headings(markdown(runs.small()))
        for heading in ([*added, usual] if usual == "## How to read this" else [usual])
    ]
    shown = text[text.index(section) : text.index("## How to read this")]
    assert re.search(r"\| fp32 +\| +90\.0 \| +100\.0 \| +95\.0 \| convolution 3×3, ", shown)
    main, _, folded = shown.partition("<details>")
    for table in (main, folded):
        assert len(re.findall(r"\| compute +\|", table)) == len(roofline.frame(run))
    assert "why blank" not in shown


def test_an_unknown_ceiling_gives_no_roofline_section() -> None:
    run = replace(runs.small(), ceilings={"fp32": Ceiling(error="no kernel")})
    assert "How far" not in markdown(run)


def test_each_group_has_its_own_rows() -> None:
    _, _, text = markdown(runs.small()).partition("## All cells")
    first = text[text.index("## fp32, batch 1") : text.index("## fp32, batch 8")]
    second = text[text.index("## fp32, batch 8") : text.index("## How to read")]
    first, second = (text.partition("<details>")[0] for text in (first, second))
    cell_rows = re.compile(r"^\| (torchvision|googlenet) +\| (\w+)", re.MULTILINE)
    assert cell_rows.findall(first) == [
        ("torchvision", "eager"),
        ("googlenet", "eager"),
        ("googlenet", "compile"),
    ]
    assert cell_rows.findall(second) == [("torchvision", "eager"), ("googlenet", "eager")]


def test_tables_of_cells_have_seven_columns_and_all_of_them_in_a_folded_table() -> None:
    _, _, text = markdown(runs.small()).partition("## All cells")
    first, folded = text[: text.index("### fp32, batch 8")].split(
        "<details><summary>All columns</summary>"
    )
    columns, all_columns = (
        re.findall(r"[^|]+", re.search(r"^\| arch.*$", part, re.MULTILINE)[0])  # type: ignore[index]
        for part in (first, folded)
    )
    assert [name.strip() for name in columns] == [
        "arch",
        "mode",
        "latency ms",
        "images/s",
        "× torchvision eager",
        "× same mode",
        "memory MiB",
    ]
    cells = frame.summary(runs.small())
    assert len(all_columns) == len(summary.shown_columns(runs.small(), cells)) > len(columns)
    assert "p99 ms" in folded.partition("</details>")[0]


def test_the_first_picture_of_a_group_shows_ratios_and_the_second_latencies() -> None:
    run = runs.small()
    names = re.findall(r"\(charts/(\w+)-(\S+)\.svg\)", markdown(run, charts.build(run)))
    groups = ("fp32-batch-1-infer-cpu", "fp32-batch-8-infer-cpu")
    assert names[:4] == [(kind, group) for group in groups for kind in ("ratios", "latency")]


def test_the_ratios_are_above_the_table_and_findings_are_below() -> None:
    run = runs.small()
    text = markdown(run, charts.build(run))
    parts = ["(charts/ratios-fp32-batch-1", "| arch", "(charts/latency-fp32-batch-1", "## Findings"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_caption_is_written_once() -> None:
    run = runs.small()
    text = markdown(run, drawn := charts.build(run))
    for caption in {chart.caption for chart in drawn}:
        assert text.count(f"*{escaped(caption)}*") == 1
    assert len({chart.caption for chart in drawn}) < len(drawn)


@pytest.mark.parametrize("table", ["One factor at a time", "Can this run be trusted?"])
def test_every_table_has_at_most_seven_columns_outside_folded_parts(table: str) -> None:
    text = re.sub(r"<details>.*?</details>", "", markdown(rungs.ladder()), flags=re.DOTALL)
    assert f"## {table}" in text
    assert {line.count("|") - 1 for line in text.splitlines() if line.startswith("|")} <= {
        *range(8)
    }


def test_a_run_without_failures_has_no_failures_section() -> None:
    run = replace(runs.small("complete"), cells=(runs.measured(runs.EAGER),))
    text = markdown(run)
    assert "without figures" not in text
    assert "Partial" not in text


@pytest.mark.parametrize(
    ("status", "notice"),
    [
        ("over_budget", "**Partial:** the time budget was used up"),
        ("interrupted", "**Partial:** the run was interrupted"),
    ],
)
def test_a_partial_run_has_a_notice_before_any_figure(status: str, notice: str) -> None:
    text = markdown(runs.small(status))
    assert 0 < text.find(notice) < text.index("## ")


def test_a_run_without_measurements_has_a_report() -> None:
    run = runs.small("interrupted")
    unmeasured = replace(run, cells=(run.cells[-1],))
    assert unmeasured.cells[0].cell == runs.UNVISITED
    text = markdown(unmeasured)
    assert "the run was interrupted" in text
    assert "## fp32" not in text


def test_command_and_circumstances_are_shown() -> None:
    run = runs.small()
    text = markdown(run)
    assert f"`{run.plan.command}`" in text
    facts = dict(re.findall(r"^\| ([^|]+?) +\| ([^|]*?) +\|$", text, re.MULTILINE))
    assert facts["torch"] == "2.11.0"
    assert facts[r"OMP\_NUM\_THREADS"] == "2"
    assert facts["commit"] == "0123456789ab with uncommitted changes"
    assert facts["measured at"] == run.datetime
    assert facts["seed"] == "7"
    assert facts["measuring"] == f"{run.phases_s['measuring']:.1f}"
    assert facts["total"] == f"{sum(run.phases_s.values()):.1f}"
    assert "one thread per physical core" in text  # why OMP_NUM_THREADS is set


def test_stderr_is_complete_and_cannot_close_its_fence() -> None:
    text = markdown(runs.small())
    assert f"\n{runs.STDERR}\n" in text
    outside = without_fences(text)
    assert "not a heading" not in outside.replace(r"## not a heading", "", 1)
    assert "<b>" not in outside
    assert outside.count("<details>") == outside.count("</details>")
    assert outside.count("<details><summary>stderr") == 1


@pytest.mark.parametrize("backticks", range(1, 9))
def test_a_fence_is_longer_than_any_backticks_in_the_text(backticks: int) -> None:
    run = runs.small()
    stderr = "`" * backticks + "\n# out\n"
    failed = replace(run.cells[3], failure=replace(runs.FAILURE, stderr=stderr))
    text = markdown(replace(run, cells=(*run.cells[:3], failed, *run.cells[4:])))
    assert "# out" not in headings(text)
    assert stderr in text


def test_html_in_a_reason_is_escaped() -> None:
    text = without_fences(markdown(runs.small()))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def hostile_run(field: str) -> RunRecord:
    run, hostile = runs.small(), "a <img src=x> `<img src=x>\n# out"
    if field == "command":
        return replace(run, plan=msgspec.structs.replace(run.plan, command=hostile))
    if field == "device_name":
        return runs.in_environment(run, device_name=hostile)
    if field == "variables":
        return runs.in_environment(run, variables={"OMP_X": hostile})
    if field == "status":
        return replace(run, status=hostile)
    arch = replace(runs.FAILED, arch=hostile)
    failed = replace(run.cells[3], cell=arch)
    return replace(run, cells=(*run.cells[:3], failed, *run.cells[4:]))


@pytest.mark.parametrize("field", ["command", "device_name", "variables", "status", "arch"])
def test_foreign_text_adds_no_html_or_headings(field: str) -> None:
    text = without_fences(markdown(hostile_run(field)))
    assert not [heading for heading in headings(text) if heading.split()[1].startswith("out")]
    # Code spans show HTML as text, except inside an HTML element. HTML may appear nowhere else.
    spans = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
    assert "<img" not in "\n".join(
        line if line.startswith("<") else spans.sub("", line) for line in text.splitlines()
    )
