from dataclasses import replace

import msgspec

from bench.machine import cpu
from bench.records.code import Code
from bench.records.record import RunRecord
from bench.report import circumstances
from tests.bench import runs


def on_gpu() -> RunRecord:
    """Return a run with one cell in fp32 and one in tf32."""
    run = runs.small()
    cells = []
    for dtype in ("fp32", "tf32"):
        is_on = dtype == "tf32"
        setup = msgspec.structs.replace(runs.setup(0), tf32_convolutions=is_on, tf32_products=is_on)
        cell = replace(runs.EAGER, dtype=dtype, device="cuda")
        cells.append(replace(runs.measured(runs.EAGER), cell=cell, setups=(setup, setup)))
    run = replace(run, cells=tuple(cells), controls=(), rounds=())
    return runs.in_environment(run, device="cuda", cudnn_benchmark=False)


def test_tf32_settings_are_shown_per_dtype() -> None:
    facts = circumstances.facts(on_gpu())
    assert facts["TF32 in convolutions"] == facts["TF32 in products"] == "fp32: off, tf32: on"
    assert facts["cudnn_benchmark"] is False


def test_a_cpu_has_no_tf32_settings() -> None:
    assert not [name for name in circumstances.facts(runs.small()) if "TF32" in name]


def test_only_known_cpu_facts_are_shown() -> None:
    run = runs.in_environment(runs.small(), cpu_family=25, cpu_stepping=0)
    facts = circumstances.facts(run)
    assert {name: facts[name] for name in cpu.IDENTITY if name in facts} == {
        "cpu_family": 25,
        "cpu_stepping": 0,
    }


def test_the_run_its_code_and_several_hosts_are_named() -> None:
    run = runs.small()
    assert not {"run id", "code digest", "measured on"} & circumstances.facts(run).keys()
    first = run.cells[0]
    visits = tuple(replace(visit, host="ab"[visit.set_index % 2]) for visit in first.visits)
    known = replace(
        run,
        cells=(replace(first, visits=visits),),
        controls=(),
        run_id="0f" * 16,
        code=Code(commit=None, digest="d" * 64),
    )
    assert circumstances.facts(known)["run id"] == "0f" * 16
    assert circumstances.facts(known)["code digest"] == "d" * 12
    assert circumstances.facts(known)["measured on"] == "a, b"


def test_libraries_that_networks_come_from_are_shown_with_their_versions() -> None:
    run = runs.in_environment(runs.small(), libraries={"timm": "1.0.20"})
    assert circumstances.facts(run)["timm"] == "1.0.20"
