from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import RequestError
from bench.records import comparability
from bench.records.record import RunRecord
from bench.units import MIB
from tests.bench import runs


def on(device: str, l2: str | None) -> RunRecord:
    return runs.in_environment(runs.with_plan(runs.small(), l2=l2), device=device)


def test_runs_with_different_l2_states_are_refused() -> None:
    differing, unknown = comparability.differences(on("cuda", "cold"), on("cuda", "warm"))
    assert [str(difference) for difference in differing] == ["l2 is 'cold' in A and 'warm' in B"]
    assert unknown == []
    with pytest.raises(RequestError, match="To compare them anyway: --across l2"):
        comparability.refuse(differing)


def test_l2_state_is_ignored_on_a_cpu() -> None:
    assert comparability.differences(on("cpu", "warm"), on("cpu", None)) == ([], [])


FAMILY_25 = {"cpu_family": 25, "cpu_model": 17, "cpu_stepping": 1}
FAMILY_26 = {"cpu_family": 26, "cpu_model": 2, "cpu_stepping": 1}


def new_file(**facts: Any) -> RunRecord:
    """A run whose workers described their CPU."""
    return runs.in_environment(runs.small(), cpu="AMD EPYC", **facts)


def old_file(facts: Mapping[str, int]) -> RunRecord:
    """An earlier run: only pytest-benchmark's part has more facts about the CPU than its brand."""
    info = {name.removeprefix("cpu_"): value for name, value in facts.items()}
    sizes = {"l1_data_cache_size": 65536, "l2_cache_size": 2097152, "l3_cache_size": 1048576}
    cpu = {"brand_raw": "AMD EPYC", **info, **sizes}
    return replace(new_file(), machine_info={**runs.small().machine_info, "cpu": cpu})


@pytest.mark.parametrize("a", [new_file(**FAMILY_26), old_file(FAMILY_26)])
@pytest.mark.parametrize("b", [new_file(**FAMILY_25), old_file(FAMILY_25)])
def test_different_cpus_of_one_brand_differ_in_new_and_old_files(
    a: RunRecord, b: RunRecord
) -> None:
    differing, _ = comparability.differences(a, b)
    assert {difference.circumstance for difference in differing} == {"machine"}
    assert [str(difference) for difference in differing] == [
        "cpu_family is 26 in A and 25 in B",
        "cpu_model is 2 in A and 17 in B",
    ]


def test_old_and_new_files_of_one_machine_do_not_differ() -> None:
    new_facts = {"cpu_l2_bytes": 2 * MIB, "cpu_l3_bytes": 32 * MIB, "cpu_microcode": "0x1"}
    new = new_file(**FAMILY_25, **new_facts)
    assert comparability.differences(old_file(FAMILY_25), new) == ([], list(new_facts))
    assert comparability.differences(new, old_file(FAMILY_25)) == ([], list(new_facts))


def test_facts_of_the_worker_precede_those_of_pytest_benchmark() -> None:
    both = replace(old_file(FAMILY_26), environment=new_file(**FAMILY_25).environment)
    assert comparability.differences(both, new_file(**FAMILY_25)) == ([], [])


def test_fact_unknown_to_the_worker_comes_from_pytest_benchmark() -> None:
    both = replace(old_file(FAMILY_26), environment=new_file(cpu_family=None).environment)
    differing, _ = comparability.differences(both, new_file(**FAMILY_25))
    assert "cpu_family is 26 in A and 25 in B" in map(str, differing)


def test_another_version_of_a_library_that_networks_come_from_is_named() -> None:
    a, b = (runs.in_environment(runs.small(), libraries={"timm": number}) for number in "12")
    differing, unknown = comparability.differences(a, b)
    assert [str(difference) for difference in differing] == ["timm is '1' in A and '2' in B"]
    assert unknown == []
    with pytest.raises(RequestError, match="To compare them anyway: --across libraries"):
        comparability.refuse(differing)
    assert comparability.differences(a, runs.small()) == ([], ["timm"])  # an earlier file
