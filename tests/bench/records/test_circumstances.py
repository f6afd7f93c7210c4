from dataclasses import replace

import pytest

from bench.names import RequestError
from bench.records import circumstances
from bench.records.record import RunRecord
from tests.bench import runs


def on(device: str, l2: str | None) -> RunRecord:
    run = runs.small()
    plan = dict(run.plan) if l2 is None else {**run.plan, "l2": l2}
    return replace(run, environment={**run.environment, "device": device}, plan=plan)


def test_a_cold_cache_is_not_compared_with_a_warm_one() -> None:
    found, unknown = circumstances.differences(on("cuda", "cold"), on("cuda", "warm"))
    assert [str(difference) for difference in found] == ["l2 is 'cold' in A and 'warm' in B"]
    assert unknown == []
    with pytest.raises(RequestError, match="To compare them nevertheless: --across l2"):
        circumstances.refuse(found)


def test_a_cpu_has_no_such_cache_and_an_earlier_run_is_the_same() -> None:
    assert circumstances.differences(on("cpu", "warm"), on("cpu", None)) == ([], [])
