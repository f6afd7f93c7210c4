import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api.profiles import PROFILES
from bench.archs.source import IMAGE_SIZE
from bench.cells import plan_values
from bench.counts import baseline, baseline_file
from bench.counts.baseline import (
    PEAK_TOLERANCE,
    RULES,
    UNCOUNTED,
    Baseline,
    Change,
    CountDifference,
)
from bench.errors import RequestError
from bench.records import store
from bench.worker import formulas
from tests.bench import runs
from tests.counted import counted

A, B = "googlenet/eager/fp32/b1/infer/cpu", "torchvision/compile/fp32/b1/infer/cpu"
VALUE = 1_000
VERSIONS = {"python": "3.11", "torch": "2.15.0", "torchvision": "0.30.0", "fvcore": "0.1.5"}
BASELINE = Baseline(
    image_size=224,
    versions=VERSIONS,
    cells={A: dict.fromkeys(RULES, VALUE), B: dict.fromkeys(RULES, VALUE)},
)
GRAPH_FIELDS = ("graphs", "graph_breaks", "recompiled_graphs")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "baseline.json"


@pytest.fixture
def content(path: Path) -> dict[str, Any]:
    baseline_file.write(BASELINE, path)
    as_json: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return as_json


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def with_count(field: str, value: int, *, cell: str = A, torch: str = "2.15.0") -> Baseline:
    cells = {**BASELINE.cells, cell: {**BASELINE.cells[cell], field: value}}
    return replace(BASELINE, cells=cells, versions={**VERSIONS, "torch": torch})


def refused(path: Path) -> str:
    """Return the message with which reading the file is refused."""
    with pytest.raises(RequestError) as raised:
        baseline_file.read(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_written_baseline_is_read_back_unchanged(path: Path) -> None:
    baseline_file.write(BASELINE, path)
    assert baseline_file.read(path) == BASELINE
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_has_one_count_per_line_and_does_not_depend_on_the_order(path: Path) -> None:
    baseline_file.write(BASELINE, path)
    text = path.read_text(encoding="utf-8")
    reordered = replace(
        BASELINE,
        cells={
            cell: dict(reversed(list(counts.items())))
            for cell, counts in reversed(list(BASELINE.cells.items()))
        },
    )
    baseline_file.write(reordered, path)
    assert path.read_text(encoding="utf-8") == text
    assert text.count(f": {VALUE},\n") + text.count(f": {VALUE}\n") == 2 * len(RULES)
    assert text.endswith("}\n")


def test_a_missing_baseline_says_how_to_write_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refused(path)
    assert message.startswith(f"there is no baseline {path}; write one and commit it: ")
    assert message.endswith(f"googlenet-bench baseline --output {path}")
    monkeypatch.chdir(tmp_path)
    assert refused(baseline.PATH).endswith(": googlenet-bench baseline")


@pytest.mark.parametrize("text", ["", "{", "<<<<<<< HEAD\n{}", "{} {}"])
def test_a_file_that_is_not_json_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert "is damaged: it is not JSON" in refused(path)


def test_a_file_that_is_nested_too_deeply_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[" * 200_000, encoding="utf-8")
    assert "is damaged: it is nested too deeply" in refused(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot read" in refused(tmp_path)


@pytest.mark.parametrize(
    ("other", "format_name"),
    [([], "None"), ("text", "None"), ({"name": "x"}, "None"), ({"format": "theirs"}, "'theirs'")],
)
def test_a_foreign_file_is_refused_with_both_values(
    path: Path, other: Any, format_name: str
) -> None:
    message = refused(write_json(path, other))
    assert f"format is {format_name}, expected 'googlenet-bench baseline'" in message


def test_a_run_file_is_not_a_baseline(path: Path) -> None:
    assert "is not a googlenet-bench baseline" in refused(
        write_json(path, store.to_json(runs.small()))
    )


@pytest.mark.parametrize("version", [0, baseline_file.SCHEMA_VERSION + 1, "1", None])
def test_another_schema_version_is_refused_with_both_values(
    path: Path, content: dict[str, Any], version: Any
) -> None:
    content["schema_version"] = version
    message = refused(write_json(path, content))
    read_version = baseline_file.SCHEMA_VERSION
    assert (
        f"schema_version is {version!r}, but this googlenet-bench reads {read_version}" in message
    )


@pytest.mark.parametrize("name", ["image_size", "versions", "cells"])
def test_a_missing_part_is_refused_by_name(path: Path, content: dict[str, Any], name: str) -> None:
    del content[name]
    message = refused(write_json(path, content))
    assert "is damaged" in message
    assert name in message


@pytest.mark.parametrize("name", RULES)
def test_a_missing_count_is_refused_by_name(path: Path, content: dict[str, Any], name: str) -> None:
    del content["cells"][B][name]
    assert f"is damaged: {B} has no {name}" in refused(write_json(path, content))


def test_an_unknown_count_is_refused_by_name(path: Path, content: dict[str, Any]) -> None:
    content["cells"][A]["latency"] = 1
    assert f"is damaged: {A} has an unknown latency" in refused(write_json(path, content))


@pytest.mark.parametrize("value", ["7005832", 0.5, None, True, [1]])
def test_a_count_that_is_not_an_integer_is_refused(
    path: Path, content: dict[str, Any], value: Any
) -> None:
    content["cells"][A]["params"] = value
    reason = f"params of {A} is null" if value is None else "Expected `int | null`"
    assert f"is damaged: {reason}" in refused(write_json(path, content))


@pytest.mark.parametrize("value", [-1, 2**63, 10**400])
def test_a_number_that_cannot_be_a_count_is_refused(
    path: Path, content: dict[str, Any], value: int
) -> None:
    content["cells"][A]["params"] = value
    sentence = refused(write_json(path, content))
    assert "is damaged: " in sentence
    assert ("$.cells[...][...]" if value < 0 else "more than 64 bits") in sentence


def test_only_the_total_of_fvcore_may_be_null(path: Path, content: dict[str, Any]) -> None:
    content["cells"][A]["fvcore_total_per_image"] = None
    assert baseline_file.read(write_json(path, content)).cells[A]["fvcore_total_per_image"] is None


def test_a_baseline_of_another_counter_is_refused_with_both_counters(path: Path) -> None:
    baseline.check_same_counter(replace(BASELINE, versions=baseline.versions_here()), path)
    for versions in (VERSIONS, {**VERSIONS, "counter": "FlopCounterMode, formulas 0"}):
        with pytest.raises(RequestError) as raised:
            baseline.check_same_counter(replace(BASELINE, versions=versions), path)
        assert repr(versions.get("counter")) in str(raised.value)
        assert repr(formulas.COUNTER) in str(raised.value)


def without_formula(calls: int, macs: int = VALUE) -> Baseline:
    """Return the baseline with an uncounted operator in cell A."""
    counts = {**BASELINE.cells[A], "macs_per_image": macs, f"{UNCOUNTED}aten::foo": calls}
    return replace(BASELINE, cells={**BASELINE.cells, A: counts})


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (BASELINE, without_formula(3)),
        (without_formula(3), BASELINE),
        (without_formula(3), without_formula(4)),
    ],
)
def test_calls_of_uncounted_operators_are_compared(then: Baseline, now: Baseline) -> None:
    (difference,) = baseline.compare(then, now)
    assert (difference.field, difference.change) == (f"{UNCOUNTED}aten::foo", Change.CHANGED)
    assert (difference.baseline, difference.now) == tuple(
        side.cells[A].get(difference.field, 0) for side in (then, now)
    )


def test_a_change_of_a_lower_bound_is_neither_better_nor_worse(path: Path) -> None:
    assert baseline.compare(without_formula(3), without_formula(3)) == ()
    for macs in (VALUE - 1, VALUE + 1):
        (difference,) = baseline.compare(without_formula(3), without_formula(3, macs))
        assert (difference.field, difference.change) == ("macs_per_image", Change.CHANGED)
    assert baseline.lower_bounds(BASELINE) == {}
    assert baseline.lower_bounds(without_formula(3)) == {A: "plus 3 × aten::foo"}
    baseline_file.write(without_formula(3), path)
    assert baseline_file.read(path) == without_formula(3)


def test_only_a_baseline_may_be_overwritten(path: Path, content: dict[str, Any]) -> None:
    baseline_file.check_replaceable(path.parent / "new.json")
    baseline_file.check_replaceable(path)
    content["schema_version"] += 1
    baseline_file.check_replaceable(write_json(path, content))
    for other in ({"name": "theirs"}, [1]):
        with pytest.raises(
            RequestError, match=r"is not a googlenet-bench baseline.*; it is not overwritten$"
        ):
            baseline_file.check_replaceable(write_json(path, other))
    with pytest.raises(RequestError, match=r"cannot read.*; it is not overwritten$"):
        baseline_file.check_replaceable(path.parent)


def stale(requested: list[str], image_size: int = 224) -> str:
    """Return the message with which the baseline is refused for these cells and images."""
    with pytest.raises(RequestError) as raised:
        baseline.check_same_cells(BASELINE, requested, image_size, baseline.PATH)
    return str(raised.value)


def test_the_same_cells_are_accepted_in_any_order() -> None:
    baseline.check_same_cells(BASELINE, [B, A], 224, baseline.PATH)


def test_a_stale_baseline_is_refused_with_the_first_cell_that_differs() -> None:
    other = "googlenet/eager/fp32/b8/infer/cpu"
    assert f"has 2 cells, and the request has 3: it lacks {other}" in stale([A, other, B])
    assert f"has 2 cells, and the request has 2: it lacks {other}" in stale([A, other])
    assert f"has 2 cells, and the request has 1: {B} is not requested" in stale([A])


def test_a_baseline_of_another_image_size_is_refused_with_both_values() -> None:
    assert "image_size is 224, but 192 is requested" in stale([A, B], image_size=192)


def test_a_baseline_does_not_differ_from_itself() -> None:
    assert baseline.compare(BASELINE, BASELINE) == ()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("field", [field for field, rule in RULES.items() if not rule.tolerance])
def test_a_difference_of_one_is_reported(field: str, by: int) -> None:
    (difference,) = baseline.compare(BASELINE, with_count(field, VALUE + by, cell=B))
    change = Change.WORSE if by > 0 else Change.BETTER
    if field == "graphs":
        change = Change.CHANGED
    assert difference == CountDifference(
        cell=B, field=field, baseline=VALUE, now=VALUE + by, change=change
    )
    assert difference.sentence == (
        f"{B}: {field} is {VALUE + by:,} but the baseline has {VALUE:,} ({change})"
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_peak_bytes_may_differ_by_at_most_the_tolerance(sign: int) -> None:
    most = round(VALUE * PEAK_TOLERANCE)
    assert baseline.compare(BASELINE, with_count("peak_bytes", VALUE + sign * most)) == ()
    (difference,) = baseline.compare(BASELINE, with_count("peak_bytes", VALUE + sign * (most + 1)))
    assert (difference.field, difference.now) == ("peak_bytes", VALUE + sign * (most + 1))


def test_only_peak_bytes_has_a_tolerance() -> None:
    assert {name for name, rule in RULES.items() if rule.tolerance} == {"peak_bytes"}


def test_a_count_of_zero_has_no_tolerance() -> None:
    zero = with_count("peak_bytes", 0)
    (difference,) = baseline.compare(zero, with_count("peak_bytes", 1))
    assert difference.change is Change.WORSE


def test_a_field_that_was_not_counted_now_is_not_compared() -> None:
    without = {name: VALUE for name in RULES if name not in GRAPH_FIELDS}
    now = replace(BASELINE, cells={A: without, B: {**without, "params": 1}})
    assert [difference.field for difference in baseline.compare(BASELINE, now)] == ["params"]


def test_differences_are_in_the_order_of_the_requested_cells() -> None:
    counts = dict.fromkeys(RULES, VALUE + 100)
    differences = baseline.compare(BASELINE, replace(BASELINE, cells={B: counts, A: counts}))
    assert [difference.cell for difference in differences] == [B] * len(RULES) + [A] * len(RULES)


@pytest.mark.parametrize("field", [*GRAPH_FIELDS, "peak_bytes"])
def test_a_difference_that_another_torch_may_explain_is_refused_with_all_values(field: str) -> None:
    with pytest.raises(RequestError) as raised:
        baseline.compare(BASELINE, with_count(field, 2 * VALUE, torch="2.16.0"))
    message = str(raised.value)
    assert f"{A}: {field} is 2,000 but the baseline has 1,000" in message
    assert "torch is 2.16.0 but the baseline has 2.15.0" in message
    assert "the version alone may explain this" in message


def test_a_difference_that_no_version_explains_is_reported_with_those_that_one_may() -> None:
    now = with_count("params", VALUE + 1, torch="2.16.0")
    now = replace(now, cells={**now.cells, B: {**now.cells[B], "graph_breaks": VALUE + 1}})
    certain, unsure = baseline.compare(BASELINE, now)
    assert (certain.field, certain.versions) == ("params", "")
    assert unsure.versions == "torch is 2.16.0 but the baseline has 2.15.0"
    assert unsure.sentence.endswith(f"(worse; {unsure.versions})")


def test_the_number_of_further_differences_is_reported() -> None:
    now = replace(
        with_count("graphs", 2, torch="2.16.0"),
        cells={name: {**counts, "graphs": 2} for name, counts in BASELINE.cells.items()},
    )
    with pytest.raises(RequestError, match=r"\(and 1 more differ\)"):
        baseline.compare(BASELINE, now)


def test_another_version_alone_is_not_a_difference() -> None:
    now = replace(BASELINE, versions={**VERSIONS, "torch": "2.16.0"})
    assert baseline.compare(BASELINE, now) == ()
    assert baseline.version_changes(BASELINE, now) == {
        "torch": "torch is 2.16.0 but the baseline has 2.15.0"
    }
    assert baseline.version_changes(BASELINE, BASELINE) == {}


def test_versions_have_no_build_tags() -> None:
    here = baseline.versions_here()
    assert here.keys() == {"python", *baseline.LIBRARIES, "counter"}
    assert not [version for version in here.values() if "+" in version]
    assert {name for rule in RULES.values() for name in rule.follows} <= here.keys()


def test_the_committed_baseline_has_the_cells_of_the_quick_profile() -> None:
    committed = baseline_file.read(Path(bench.__file__).parent.parent / baseline.PATH)
    quick = PROFILES["quick"]
    cells = plan_values.cells(
        arch_names=quick.archs,
        mode_names=quick.modes,
        dtype_names=("fp32",),
        batch_sizes=quick.batch_sizes("cpu"),
        task_names=("infer",),
        device="cpu",
    )
    ids = [cell.id for cell in cells]
    baseline.check_same_cells(committed, ids, IMAGE_SIZE, baseline.PATH)
    for cell in cells:
        then, now = committed.cells[cell.id], counted(cell.arch)
        assert (then["params"], then["params_with_aux"]) == (now.params, now.params_with_aux)
        assert (then["macs_per_image"], then["flops_per_image"]) == (now.macs, now.flops)


@pytest.mark.parametrize(
    ("then", "now", "is_same"),
    [(None, None, True), (None, 1, False), (1, None, False), (100, 101, True), (100, 102, False)],
)
def test_an_unknown_count_is_the_same_only_as_an_unknown_one(
    then: int | None, now: int | None, is_same: bool
) -> None:
    assert baseline.CountRule(what="bytes", tolerance=0.01).is_same(then, now) is is_same
