import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cells import plan
from bench.gate import baseline
from bench.gate.baseline import PEAK_TOLERANCE, RULES, UNCOUNTED, Baseline, Change, CountDifference
from bench.names import RequestError
from bench.records import store
from bench.suite.profiles import PROFILES
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
    baseline.write(BASELINE, path)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def put(path: Path, content: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def with_count(field: str, value: int, *, cell: str = A, torch: str = "2.15.0") -> Baseline:
    cells = {**BASELINE.cells, cell: {**BASELINE.cells[cell], field: value}}
    return replace(BASELINE, cells=cells, versions={**VERSIONS, "torch": torch})


def refused(path: Path) -> str:
    with pytest.raises(RequestError) as raised:
        baseline.read(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_what_is_read_is_what_was_written(path: Path) -> None:
    baseline.write(BASELINE, path)
    assert baseline.read(path) == BASELINE
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_count_is_a_line_and_order_makes_no_difference(path: Path) -> None:
    baseline.write(BASELINE, path)
    text = path.read_text(encoding="utf-8")
    turned = replace(
        BASELINE,
        cells={
            cell: dict(reversed(list(counts.items())))
            for cell, counts in reversed(list(BASELINE.cells.items()))
        },
    )
    baseline.write(turned, path)
    assert path.read_text(encoding="utf-8") == text
    assert text.count(f": {VALUE},\n") + text.count(f": {VALUE}\n") == 2 * len(RULES)
    assert text.endswith("}\n")


def test_a_missing_baseline_says_how_to_write_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refused(path)
    assert message.startswith(f"there is no baseline {path}; write one, and commit it, with: ")
    assert message.endswith(f"googlenet-bench baseline --output {path}")
    monkeypatch.chdir(tmp_path)
    assert refused(baseline.PATH).endswith(": googlenet-bench baseline")


@pytest.mark.parametrize("text", ["", "{", "<<<<<<< HEAD\n{}", "{} {}", "[" * 200_000])
def test_what_is_not_json_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert "is damaged, it is not JSON" in refused(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot read" in refused(tmp_path)


@pytest.mark.parametrize(
    ("other", "shown"),
    [([], "None"), ("text", "None"), ({"name": "x"}, "None"), ({"format": "theirs"}, "'theirs'")],
)
def test_a_foreign_file_is_refused_with_both_values(path: Path, other: Any, shown: str) -> None:
    message = refused(put(path, other))
    assert f"format is {shown} where 'googlenet-bench baseline' is expected" in message


def test_a_run_file_is_no_baseline(path: Path) -> None:
    assert "is no baseline" in refused(put(path, store.to_json(runs.small())))


@pytest.mark.parametrize("version", [0, baseline.SCHEMA_VERSION + 1, "1", None])
def test_another_schema_version_is_refused_with_both_values(
    path: Path, content: dict[str, Any], version: Any
) -> None:
    content["schema_version"] = version
    message = refused(put(path, content))
    assert (
        f"schema_version is {version!r} where this googlenet-bench reads {baseline.SCHEMA_VERSION}"
    ) in message


@pytest.mark.parametrize("name", ["image_size", "versions", "cells"])
def test_a_missing_part_is_refused_by_name(path: Path, content: dict[str, Any], name: str) -> None:
    del content[name]
    message = refused(put(path, content))
    assert "is damaged" in message
    assert name in message


@pytest.mark.parametrize("name", RULES)
def test_a_missing_count_is_refused_by_name(path: Path, content: dict[str, Any], name: str) -> None:
    del content["cells"][B][name]
    assert f"is damaged: {B} has no {name}" in refused(put(path, content))


def test_an_unknown_count_is_refused_by_name(path: Path, content: dict[str, Any]) -> None:
    content["cells"][A]["latency"] = 1
    assert f"is damaged: {A} has an unknown latency" in refused(put(path, content))


@pytest.mark.parametrize("value", ["7005832", 0.5, None, True, [1]])
def test_a_count_that_is_no_whole_number_is_refused(
    path: Path, content: dict[str, Any], value: Any
) -> None:
    content["cells"][A]["params"] = value
    reason = f"params of {A} is null" if value is None else "Expected `int | null`"
    assert f"is damaged: {reason}" in refused(put(path, content))


def test_only_fvcores_total_may_be_unknown(path: Path, content: dict[str, Any]) -> None:
    content["cells"][A]["fvcore_total_per_image"] = None
    assert baseline.read(put(path, content)).cells[A]["fvcore_total_per_image"] is None


def test_a_baseline_of_another_counter_is_refused_with_both(path: Path) -> None:
    baseline.check_same_counter(replace(BASELINE, versions=baseline.versions_here()), path)
    for versions in (VERSIONS, {**VERSIONS, "counter": "FlopCounterMode, formulas 0"}):
        with pytest.raises(RequestError) as raised:
            baseline.check_same_counter(replace(BASELINE, versions=versions), path)
        assert repr(versions.get("counter")) in str(raised.value)
        assert repr(formulas.COUNTER) in str(raised.value)


def without_formula(ran: int, macs: int = VALUE) -> Baseline:
    """The baseline where an operator of A is not counted."""
    counts = {**BASELINE.cells[A], "macs_per_image": macs, f"{UNCOUNTED}aten::foo": ran}
    return replace(BASELINE, cells={**BASELINE.cells, A: counts})


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (BASELINE, without_formula(3)),
        (without_formula(3), BASELINE),
        (without_formula(3), without_formula(4)),
    ],
)
def test_operators_that_are_not_counted_are_compared(then: Baseline, now: Baseline) -> None:
    (found,) = baseline.compare(then, now)
    assert (found.field, found.change) == (f"{UNCOUNTED}aten::foo", Change.CHANGED)
    assert (found.baseline, found.now) == tuple(
        side.cells[A].get(found.field, 0) for side in (then, now)
    )


def test_a_lower_bound_is_neither_better_nor_worse(path: Path) -> None:
    assert baseline.compare(without_formula(3), without_formula(3)) == ()
    for macs in (VALUE - 1, VALUE + 1):
        (found,) = baseline.compare(without_formula(3), without_formula(3, macs))
        assert (found.field, found.change) == ("macs_per_image", Change.CHANGED)
    assert baseline.lower_bounds(BASELINE) == {}
    assert baseline.lower_bounds(without_formula(3)) == {A: "plus 3 × aten::foo"}
    baseline.write(without_formula(3), path)
    assert baseline.read(path) == without_formula(3)


def test_nothing_but_a_baseline_is_written_over(path: Path, content: dict[str, Any]) -> None:
    baseline.check_replaceable(path.parent / "new.json")
    baseline.check_replaceable(path)
    content["schema_version"] += 1
    baseline.check_replaceable(put(path, content))
    for other in ({"name": "theirs"}, [1]):
        with pytest.raises(RequestError, match=r"is no baseline.*; nothing is written over it$"):
            baseline.check_replaceable(put(path, other))
    with pytest.raises(RequestError, match=r"cannot read.*; nothing is written over it$"):
        baseline.check_replaceable(path.parent)


def stale(asked: list[str], image_size: int = 224) -> str:
    with pytest.raises(RequestError) as raised:
        baseline.check_same_cells(BASELINE, asked, image_size, baseline.PATH)
    return str(raised.value)


def test_the_same_cells_in_any_order_pass() -> None:
    baseline.check_same_cells(BASELINE, [B, A], 224, baseline.PATH)


def test_a_stale_baseline_is_refused_with_the_first_cell() -> None:
    other = "googlenet/eager/fp32/b8/infer/cpu"
    assert f"cells are 2 where 3 are asked for, not {other}" in stale([A, other, B])
    assert f"cells are 2 where 2 are asked for, not {other}" in stale([A, other])
    assert f"cells are 2 where 1 are asked for, and {B} is not among these" in stale([A])


def test_a_baseline_of_other_images_is_refused_with_both_values() -> None:
    assert "image_size is 224 where 192 is asked for" in stale([A, B], image_size=192)


def test_nothing_differs_from_itself() -> None:
    assert baseline.compare(BASELINE, BASELINE) == ()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("field", [field for field, rule in RULES.items() if not rule.tolerance])
def test_a_count_that_differs_by_one_is_told(field: str, by: int) -> None:
    (found,) = baseline.compare(BASELINE, with_count(field, VALUE + by, cell=B))
    change = Change.WORSE if by > 0 else Change.BETTER
    if field == "graphs":
        change = Change.CHANGED
    assert found == CountDifference(
        cell=B, field=field, baseline=VALUE, now=VALUE + by, change=change
    )
    assert found.sentence == (
        f"{B}: {field} is {VALUE + by:,} where the baseline has {VALUE:,} ({change})"
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_peak_bytes_may_differ_by_the_tolerance_and_no_more(sign: int) -> None:
    most = round(VALUE * PEAK_TOLERANCE)
    assert baseline.compare(BASELINE, with_count("peak_bytes", VALUE + sign * most)) == ()
    (found,) = baseline.compare(BASELINE, with_count("peak_bytes", VALUE + sign * (most + 1)))
    assert (found.field, found.now) == ("peak_bytes", VALUE + sign * (most + 1))


def test_no_tolerance_but_for_peak_bytes() -> None:
    assert {name for name, rule in RULES.items() if rule.tolerance} == {"peak_bytes"}


def test_a_count_of_nothing_has_no_tolerance() -> None:
    nothing = with_count("peak_bytes", 0)
    (found,) = baseline.compare(nothing, with_count("peak_bytes", 1))
    assert found.change is Change.WORSE


def test_what_was_not_counted_does_not_differ() -> None:
    without = {name: VALUE for name in RULES if name not in GRAPH_FIELDS}
    now = replace(BASELINE, cells={A: without, B: {**without, "params": 1}})
    assert [found.field for found in baseline.compare(BASELINE, now)] == ["params"]


def test_cells_come_in_the_order_in_which_they_are_asked_for() -> None:
    counts = dict.fromkeys(RULES, VALUE + 100)
    found = baseline.compare(BASELINE, replace(BASELINE, cells={B: counts, A: counts}))
    assert [difference.cell for difference in found] == [B] * len(RULES) + [A] * len(RULES)


@pytest.mark.parametrize("field", [*GRAPH_FIELDS, "peak_bytes"])
def test_what_another_torch_may_explain_is_refused_with_all_values(field: str) -> None:
    with pytest.raises(RequestError) as raised:
        baseline.compare(BASELINE, with_count(field, 2 * VALUE, torch="2.16.0"))
    message = str(raised.value)
    assert f"{A}: {field} is 2,000 where the baseline has 1,000" in message
    assert "torch is 2.16.0 where the baseline has 2.15.0" in message
    assert "the version alone may explain that" in message


def test_what_no_version_explains_is_told_with_what_one_may() -> None:
    now = with_count("params", VALUE + 1, torch="2.16.0")
    now = replace(now, cells={**now.cells, B: {**now.cells[B], "graph_breaks": VALUE + 1}})
    certain, unsure = baseline.compare(BASELINE, now)
    assert (certain.field, certain.versions) == ("params", "")
    assert unsure.versions == "torch is 2.16.0 where the baseline has 2.15.0"
    assert unsure.sentence.endswith(f"(worse; {unsure.versions})")


def test_how_many_more_differ_is_told() -> None:
    now = replace(
        with_count("graphs", 2, torch="2.16.0"),
        cells={name: {**counts, "graphs": 2} for name, counts in BASELINE.cells.items()},
    )
    with pytest.raises(RequestError, match=r"\(and 1 more differ\)"):
        baseline.compare(BASELINE, now)


def test_another_version_by_itself_is_no_difference() -> None:
    now = replace(BASELINE, versions={**VERSIONS, "torch": "2.16.0"})
    assert baseline.compare(BASELINE, now) == ()
    assert baseline.version_changes(BASELINE, now) == {
        "torch": "torch is 2.16.0 where the baseline has 2.15.0"
    }
    assert baseline.version_changes(BASELINE, BASELINE) == {}


def test_versions_are_without_what_a_build_adds() -> None:
    here = baseline.versions_here()
    assert here.keys() == {"python", *baseline.LIBRARIES, "counter"}
    assert not [version for version in here.values() if "+" in version]
    assert {name for rule in RULES.values() for name in rule.follows} <= here.keys()


def test_the_committed_baseline_is_of_the_quick_profile() -> None:
    committed = baseline.read(Path(bench.__file__).parent.parent / baseline.PATH)
    quick = PROFILES["quick"]
    cells = plan.cells(
        arch_names=quick.archs,
        mode_names=quick.modes,
        dtype_names=("fp32",),
        batch_sizes=quick.batch_sizes("cpu"),
        task_names=("infer",),
        device="cpu",
    )
    ids = [cell.id for cell in cells]
    baseline.check_same_cells(committed, ids, plan.IMAGE_SIZE, baseline.PATH)
    for cell in cells:
        found, now = committed.cells[cell.id], counted(cell.arch)
        assert (found["params"], found["params_with_aux"]) == (now.params, now.params_with_aux)
        assert (found["macs_per_image"], found["flops_per_image"]) == (now.macs, now.flops)
