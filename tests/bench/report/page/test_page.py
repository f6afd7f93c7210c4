import json
import re
from dataclasses import replace

import pytest

from bench.records.record import RunRecord
from bench.report.findings import Findings
from tests.bench import runs
from tests.bench.report.page import pages
from tests.bench.report.page.pages import HOSTILE, Tags


def rendered(run: RunRecord) -> str:
    return pages.render(run)


def section(html: str, name: str) -> str:
    start = html.index(f'<section id="{name}"')
    return html[start : html.index("</section>", start)]


def test_failures_and_cells_come_before_findings_and_validity() -> None:
    html = pages.render(runs.small(), charts=pages.CHARTS)
    assert pages.headings(html) == [
        "2 networks, 2 modes on AMD EPYC, 2 cores",
        "Cells without figures",
        "All cells",
        "Findings",
        "Can this run be trusted?",
        "How to read this",
        "Circumstances",
        "Charts",
    ]
    assert pages.SENTENCE in section(html, "findings")


def test_failures_are_listed_and_their_stderr_is_collapsed() -> None:
    failures = section(rendered(runs.small()), "failures")
    assert failures.count("<details>") == 1
    assert "died" in failures
    assert runs.UNVISITED.id in failures


def test_the_control_comes_before_the_notes() -> None:
    validity = section(rendered(runs.small()), "validity")
    assert validity.index("Control and voided rounds") < validity.index("<h3>Notes</h3>")
    assert "it was cut off, and resumed" in validity


def test_run_without_failures_does_not_mention_failures() -> None:
    html = rendered(pages.single())
    assert "without figures" not in html
    assert "Partial" not in html
    assert "Read first" not in html


@pytest.mark.parametrize("status", ["over_budget", "interrupted"])
def test_partial_run_is_marked_above_its_findings(status: str) -> None:
    html = rendered(runs.small(status))
    assert 0 < html.index("the run is partial") < html.index('id="findings"')
    assert "<strong>Partial:</strong>" in section(html, "validity")


def test_warnings_are_in_the_validity_section_and_counted_above() -> None:
    run = runs.small()
    busy = replace(run, rounds=tuple(replace(round_, voided=True) for round_ in run.rounds))
    html = rendered(busy)
    assert 0 < html.index("2 warnings;") < html.index('id="findings"')
    assert section(html, "validity").count("the machine was too busy: 100%") == 2


def test_run_without_measurements_has_a_page() -> None:
    html = pages.render(pages.unmeasured(), findings=None)
    assert "Nothing was measured" in section(html, "findings")
    assert "No control was measured" in section(html, "validity")
    assert "not measured" in section(html, "cells")


def test_run_without_cells_has_a_page() -> None:
    run = replace(pages.unmeasured(), cells=())
    assert "The run has no cells." in section(rendered(run), "cells")


def test_run_without_command_has_a_page() -> None:
    run = runs.small()
    assert "Command:</p>" not in rendered(runs.with_plan(run, command=None))


def test_page_shows_the_command_and_the_circumstances() -> None:
    run = runs.small()
    part = section(rendered(run), "circumstances")
    assert str(run.plan.command) in part
    facts = dict(re.findall(r'<th scope="row">(.*?)</th>\s*<td[^>]*>(.*?)</td>', part))
    assert facts["torch"] == "2.11.0"
    assert facts["commit"] == "0123456789ab with uncommitted changes"
    assert facts["seed"] == "7"
    assert facts["total"] == f"{sum(run.phases_s.values()):.1f}"
    assert "one thread per physical core" in part  # the reason for OMP_NUM_THREADS


def test_hostile_text_neither_opens_nor_closes_a_tag() -> None:
    html = pages.render(
        pages.hostile(),
        findings=(Findings(title=HOSTILE, sentences=(HOSTILE,)),),
        charts=pages.CHARTS,
    )
    plain = pages.render(runs.small(), charts=pages.CHARTS[:1])
    tags = Tags(html)
    assert {tag for tag, _ in tags.tags} == {tag for tag, _ in Tags(plain).tags}
    assert not [name for _, attributes in tags.tags for name in attributes if name[:2] == "on"]
    kinds = [attributes.get("type") for attributes in tags.named("script")]
    assert kinds == ["application/json"] * len(pages.CHARTS) + ["module"] * 2
    assert "alert(1)</script>" not in html
    assert "{{ 7*7 }}" in html
    assert html.endswith("</html>")


def test_hostile_text_is_shown_unchanged() -> None:
    tags = Tags(rendered(pages.hostile()))
    assert HOSTILE in {attributes.get("data-mode") for attributes in tags.named("tr")}


def test_chart_is_embedded_as_json_that_can_be_parsed() -> None:
    html = pages.render(runs.small(), charts=pages.CHARTS)
    texts = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert [json.loads(text) for text in texts] == [chart.spec for chart in pages.CHARTS]
    assert not [text for text in texts if "\u2028" in text or "<" in text]


def test_nan_in_a_chart_is_refused() -> None:
    chart = pages.chart("odd", values=[{"arch": "googlenet", "ms": float("nan")}])
    with pytest.raises(ValueError, match="JSON"):
        pages.render(runs.small(), charts=(chart,))


def test_vega_is_included_only_if_there_are_charts() -> None:
    assert len(rendered(runs.small())) < 100_000
    assert len(pages.render(runs.small(), charts=pages.CHARTS)) > 500_000


def test_content_security_policy_blocks_all_connections_and_eval() -> None:
    (policy,) = [
        attributes["content"] or ""
        for attributes in Tags(rendered(runs.small())).named("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == "'none'"
    assert rules["script-src"] == "'unsafe-inline'"
    assert "http" not in policy


def test_page_loads_no_address() -> None:
    html = rendered(runs.small())
    loaded = {
        value
        for _, attributes in Tags(html).tags
        for name, value in attributes.items()
        if name in {"src", "href"} and value and not value.startswith("#")
    }
    assert loaded == {"data:,"}  # an empty icon, so that the browser requests none
    assert "url(" not in html
    assert "@import" not in html


def test_every_link_has_a_target() -> None:
    tags = Tags(pages.render(runs.small(), charts=pages.CHARTS))
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(attributes["href"])[1:] for attributes in tags.named("a")} <= set(ids)
