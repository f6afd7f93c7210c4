"""The hosts of a request, before anything is measured."""

import importlib.util
from typing import Any

import pytest

from bench.api import clusters, planning
from bench.api.measure_request import MeasureRequest
from bench.api.option import read
from bench.cells import plan_values
from bench.errors import RequestError

ARCHS = ("googlenet",)


def request(**options: Any) -> MeasureRequest:
    return MeasureRequest(archs=ARCHS, **options)


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every library be installed: these tests import none."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def test_this_machine_is_the_default() -> None:
    assert not clusters.is_remote(request())
    assert not clusters.is_remote(request(hosts="local"))
    clusters.check(request())


def test_an_unknown_host_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"no host is called 'rey'; did you mean 'ray'\?"):
        planning.make_plan(request(hosts="rey"))


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_a_library_that_is_not_installed_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(RequestError, match=rf'--hosts {name} needs .* "googlenet-bench\[{name}\]"'):
        clusters.check(request(hosts=name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ray_address": "a:1"}, "--ray-address needs --hosts ray"),
        ({"ray_labels": ("a=b",), "hosts": "slurm"}, "--ray-labels needs --hosts ray"),
        ({"slurm": ("a=b",), "hosts": "ray"}, "--slurm needs --hosts slurm"),
        ({"slurm_jobs": 2}, "--slurm-jobs needs --hosts slurm"),
    ],
)
def test_an_option_of_other_hosts_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        clusters.check(request(**options))


def test_settings_are_names_and_values() -> None:
    given = {"slurm": "partition=gpu, time=1:00", "ray_labels": None}
    assert read(MeasureRequest, given.get).slurm == ("partition=gpu", "time=1:00")
    with pytest.raises(RequestError, match="--slurm takes NAME=VALUE, not 'gpu'"):
        read(MeasureRequest, {"slurm": "gpu"}.get)


@pytest.mark.usefixtures("_installed")
def test_the_plan_of_a_cluster_does_not_depend_on_this_machine() -> None:
    on_cpu = planning.make_plan(request(hosts="ray"))
    assert on_cpu.cells[0].device == "cpu"
    assert on_cpu.foreign_cpus == plan_values.FOREIGN_CPUS
    on_gpu = planning.make_plan(request(hosts="ray", device="cuda:7"))
    assert on_gpu.cells[0].device == "cuda:7"
    assert on_gpu.foreign_cpus == plan_values.MOST_FOREIGN_CPUS
    with pytest.raises(RequestError, match="no device is called 'tpu'"):
        planning.make_plan(request(hosts="ray", device="tpu"))
    with pytest.raises(RequestError, match="sets take turns on the nodes: use --device cuda"):
        planning.make_plan(request(hosts="ray", device="cuda:all"))
