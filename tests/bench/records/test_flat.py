from dataclasses import fields, replace

import pytest

from bench.records import flat
from bench.records.record import Round
from tests.bench import runs

FIRST, SECOND, *_ = runs.rounds(runs.EAGER)


@pytest.mark.parametrize("reasons", [(), ("foreign_cpus",)])
def test_a_field_of_some_rounds_is_kept_for_all(reasons: tuple[str, ...]) -> None:
    rounds = (FIRST, replace(SECOND, voided=bool(reasons), reasons=reasons))
    columns = flat.flatten_rounds(rounds)
    assert ("reasons" in columns) is bool(reasons)
    assert "card" not in columns
    assert [Round(**row) for row in flat.read_rounds(columns)] == list(rounds)
    assert set(columns) >= {field.name for field in fields(Round)} - {"reasons", "card"}
