import pytest

from bench.cells import plan_values
from bench.errors import RequestError


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "the NVIDIA driver shows no device"),
        (("NVIDIA H100", "NVIDIA A100"), "cuda:0 is NVIDIA H100, cuda:1 is NVIDIA A100"),
    ],
)
def test_no_devices_and_different_models_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        plan_values.check_same_model(names)


def test_devices_of_one_model_are_accepted() -> None:
    plan_values.check_same_model(("NVIDIA H100", "NVIDIA H100"))
    plan_values.check_same_model(("NVIDIA H100",))


def test_all_devices_are_refused_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.names", lambda: ("NVIDIA H100",) * 2)
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 2)
    assert plan_values.device("cuda:all", several=True) == "cuda:all"
    assert plan_values.devices("cuda:all") == ("cuda:0", "cuda:1")
    assert plan_values.devices("cuda:1") == plan_values.devices("cpu") == ()
    with pytest.raises(RequestError, match="cuda:all is not supported here"):
        plan_values.device("cuda:all")


@pytest.mark.parametrize(("device", "expected"), [("cpu", "warm"), ("cuda", "cold")])
def test_default_l2_state_is_cold_on_a_gpu(device: str, expected: str) -> None:
    assert plan_values.l2(None, device) == expected
    assert plan_values.l2("warm", device) == "warm"


def test_cold_cache_is_refused_on_a_cpu() -> None:
    assert plan_values.l2("cold", "cuda:1") == "cold"
    with pytest.raises(RequestError, match="--l2 cold is about a GPU's cache"):
        plan_values.l2("cold", "cpu")
    with pytest.raises(RequestError, match=r"no state of the L2 cache is called 'hot'.* known: "):
        plan_values.l2("hot", "cuda")


@pytest.mark.parametrize(
    ("device", "allowed", "limit"),
    [
        ("cpu", 2, plan_values.FOREIGN_CPUS),
        ("cpu", 64, plan_values.FOREIGN_CPUS),
        ("cuda", 2, plan_values.FOREIGN_CPUS),
        ("cuda", 8, 2.0),
        ("cuda:all", 16, 4.0),
        ("cuda:all", 128, 4.0),
    ],
)
def test_others_may_use_cores_that_a_gpu_cell_leaves_idle(
    device: str, allowed: int, limit: float
) -> None:
    assert plan_values.foreign_cpus(device, cores=allowed, allowed=allowed) == limit


@pytest.mark.parametrize(
    ("device", "quota", "allowed", "limit"),
    [
        ("cpu", 2, 64, 62 / 2),
        ("cpu", 3, 4, 1 / 2),
        ("cuda", 2, 64, 60 / 2),
        ("cuda", 16, 64, 60 / 2),
        ("cuda", 2, 4, plan_values.FOREIGN_CPUS),
    ],
)
def test_others_may_use_half_of_the_cores_outside_a_quota(
    device: str, quota: int, allowed: int, limit: float
) -> None:
    assert plan_values.foreign_cpus(device, cores=quota, allowed=allowed) == limit
