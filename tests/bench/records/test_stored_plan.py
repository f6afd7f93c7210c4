import json
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from bench.cells.plan import Plan
from bench.records import store
from bench.records.stored_plan import StoredPlan
from tests.bench.engine.running import cell, plan
from tests.bench.machine.test_environment import FILES


def test_it_has_all_fields_of_a_plan_except_the_cells() -> None:
    assert set(StoredPlan.__struct_fields__) == {each.name for each in fields(Plan)} - {"cells"}


def test_a_plan_is_stored_with_all_its_values() -> None:
    requested = plan(cell("works"), devices=("cuda:0", "cuda:1"))
    stored = msgspec.to_builtins(StoredPlan.of(requested))
    expected = json.loads(msgspec.json.encode(requested))
    del expected["cells"]
    assert json.loads(json.dumps(stored)) == expected
    assert stored["budget_s"] is None
    assert list(stored) == list(expected)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_written_with_the_plan_that_was_read(path: Path) -> None:
    read = json.loads(path.read_text(encoding="utf-8"))["machine_info"][store.RUN_KEY]
    written = store.to_json(store.read(path))["machine_info"][store.RUN_KEY]
    added = {"precision": 1.0} if read["schema_version"] == 1 else {}
    assert json.loads(json.dumps(written["plan"])) == {**read["plan"], **added}


def test_fields_of_later_versions_are_ignored_and_known_ones_are_listed() -> None:
    stored = msgspec.convert({"sets": 2, "rounds": None, "of_later": 1}, StoredPlan)
    assert stored == StoredPlan(sets=2, rounds=None)
    assert stored.known == {"sets": 2}
    assert msgspec.to_builtins(stored) == {"sets": 2, "rounds": None}
