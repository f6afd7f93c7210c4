import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.machine.environment import CardFacts, Environment, machine_slug
from bench.records import store

FILES = (
    Path("reports/cpu-amd-epyc-2-cores/run.json"),
    Path("tests/bench/report/golden/run.json"),
    Path("tests/bench/records/files/schema-1.json"),
)
ON_GPU: dict[str, Any] = {
    "torch": "2.11.0",
    "device": "cuda",
    "device_name": "NVIDIA H200",
    "l2_bytes": 62_914_560,
    "cudnn": 91_002,
    "cudnn_benchmark": False,
    "cards": {"cuda": {"uuid": "GPU-1", "mig": False, "power_limit_w": 700.0}},
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_written_with_the_environment_that_was_read(path: Path) -> None:
    read = json.loads(path.read_text(encoding="utf-8"))["machine_info"][store.RUN_KEY]
    written = store.to_json(store.read(path))["machine_info"][store.RUN_KEY]
    assert json.dumps(written["environment"]) != "{}"
    assert sorted(written["environment"].items()) == sorted(read["environment"].items())


def test_the_facts_of_a_gpu_are_written_as_read() -> None:
    about = msgspec.convert(ON_GPU, Environment)
    assert about.is_on_gpu
    assert about.cards["cuda"] == CardFacts(uuid="GPU-1", mig=False, power_limit_w=700.0)
    assert msgspec.to_builtins(about) == ON_GPU


def test_facts_of_later_versions_are_ignored_and_unknown_ones_are_not_stored() -> None:
    about = msgspec.convert({"device": "cpu", "hypervisor": None, "of_later": [1]}, Environment)
    assert about == Environment(device="cpu")
    assert about.known == msgspec.to_builtins(about) == {"device": "cpu"}
    assert not about.is_on_gpu


def test_merging_keeps_what_the_other_environment_does_not_know() -> None:
    earlier = Environment(cpu="AMD EPYC", cpu_family=25, variables={"OMP_X": "1"})
    merged = earlier.merged(Environment(cpu_family=26, threads=2))
    assert merged == Environment(cpu="AMD EPYC", cpu_family=26, threads=2, variables={"OMP_X": "1"})


@pytest.mark.parametrize(
    ("about", "slug"),
    [
        ({"device": "cuda", "device_name": "NVIDIA H200", "physical_cores": 16}, "nvidia-h200"),
        (
            {"device": "cuda:1", "device_name": "NVIDIA H100 80GB HBM3", "physical_cores": 16},
            "nvidia-h100-80gb-hbm3",
        ),
        (
            {"device": "cpu", "device_name": "AMD EPYC", "physical_cores": 2},
            "cpu-amd-epyc-2-cores",
        ),
        (
            {
                "device": "cpu",
                "device_name": "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz",
                "physical_cores": 4,
            },
            "cpu-intel-core-i7-8550u-cpu-1-80ghz-4-cores",
        ),
        ({"device": "cpu", "device_name": "../../x", "physical_cores": 1}, "cpu-x-1-cores"),
    ],
)
def test_machine_slug(about: dict[str, Any], slug: str) -> None:
    assert machine_slug(Environment(**about)) == slug
