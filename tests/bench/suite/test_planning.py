import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.cells.plan import FOREIGN_CPUS, IMAGE_SIZE, Plan
from bench.names import RequestError
from bench.suite import planning, report_folder
from bench.suite.profiles import MODES, PRECISION, PROFILES, REFERENCE_ARCH, SWEEP, THROUGHPUT_BATCH

ROOT = Path("/somewhere")
GIVEN_NOTHING: dict[str, str | bool | None] = {
    **dict.fromkeys(("--profile", "--base", "--base-python")),
    **dict.fromkeys(("--archs", "--modes", "--dtypes", "--batch-sizes", "--tasks")),
    **dict.fromkeys(
        ("--image-size", "--device", "--sets", "--rounds", "--budget", "--seed", "--report-dir")
    ),
    **dict.fromkeys(("--precision", "--foreign-cpus", "--memory", "--ceiling", "--energy", "--l2")),
    "--allow-shared": False,
    "--environment": "pinned",
    "--fit": False,
}


class FakeConfig:
    """As much of pytest's configuration as options are read from."""

    rootpath = ROOT
    invocation_params = SimpleNamespace(args=("bench/suite", "--sets", "4"))

    def __init__(self, given: dict[str, str | bool]) -> None:
        assert given.keys() <= GIVEN_NOTHING.keys()
        self._values = {**GIVEN_NOTHING, **given}

    def getoption(self, name: str) -> str | bool | None:
        return self._values[name]


def config(**given: str | bool) -> pytest.Config:
    named = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    return cast("pytest.Config", FakeConfig(named))


def plan(**given: str | bool) -> Plan:
    return planning.make_plan(config(**given))


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 0)


@pytest.fixture
def _gpu(_no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 2)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_decides_what_is_left_open(name: str) -> None:
    profile, made = PROFILES[name], plan(profile=name)
    assert {cell.arch for cell in made.cells} == set(profile.archs)
    assert {cell.mode for cell in made.cells} == set(profile.modes)
    batches = {1, THROUGHPUT_BATCH["cpu"]} if profile.throughput else {1}
    if profile.sweep:
        batches = set(SWEEP["cpu"])
    assert {cell.batch_size for cell in made.cells} == batches
    assert {(c.dtype, c.task, c.device) for c in made.cells} == {("fp32", "infer", "cpu")}
    assert len(made.cells) == len(profile.archs) * len(profile.modes) * len(batches)
    assert (made.sets, made.rounds) == (profile.sets, None)
    assert (made.budget_s, made.image_size) == (None, IMAGE_SIZE)


def test_quick_is_googlenet_beside_the_reference() -> None:
    assert {(cell.arch, cell.mode) for cell in plan(profile="quick").cells} == {
        (arch, mode) for arch in ("googlenet", REFERENCE_ARCH) for mode in MODES
    }


@pytest.mark.usefixtures("_gpu")
def test_all_gpus_take_sets_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.names", lambda: ("NVIDIA H100",) * 2)
    made = plan(device="cuda:all", dtypes="fp16")
    assert made.devices == ("cuda:0", "cuda:1")
    assert {cell.device for cell in made.cells} == {"cuda:all"}
    assert {cell.batch_size for cell in made.cells} == {1, THROUGHPUT_BATCH["cuda"]}
    assert plan(device="cuda:1").devices == ()


@pytest.mark.usefixtures("_gpu")
def test_a_sweep_goes_further_on_a_gpu() -> None:
    assert {cell.batch_size for cell in plan(profile="sweep").cells} == {1, 8, 32, 128, 256}


@pytest.mark.usefixtures("_gpu")
def test_a_gpu_is_taken_where_there_is_one() -> None:
    made = plan()
    assert {cell.device for cell in made.cells} == {"cuda"}
    assert {cell.batch_size for cell in made.cells} == {1, THROUGHPUT_BATCH["cuda"]}
    assert {cell.device for cell in plan(device="cpu").cells} == {"cpu"}
    numbered = plan(device="cuda:1", dtypes="fp16,tf32")
    assert {cell.device for cell in numbered.cells} == {"cuda:1"}
    assert {cell.batch_size for cell in numbered.cells} == {1, THROUGHPUT_BATCH["cuda"]}


def test_what_is_given_wins() -> None:
    made = plan(
        profile="quick",
        archs=" googlenet , torchvision:resnet18",
        modes="channels_last+compile",
        dtypes="fp32,bf16",
        batch_sizes="2, 4",
        tasks="infer,train",
        image_size="299",
        device="cpu",
        sets="3",
        rounds="5",
        budget="1.5",
        seed="0",
    )
    assert {cell.arch for cell in made.cells} == {"googlenet", "torchvision:resnet18"}
    assert {cell.mode for cell in made.cells} == {"compile+channels_last"}
    assert {cell.dtype for cell in made.cells} == {"fp32", "bf16"}
    assert {cell.batch_size for cell in made.cells} == {2, 4}
    assert {cell.task for cell in made.cells} == {"infer", "train"}
    assert len(made.cells) == 2 * 1 * 2 * 2 * 2
    assert (made.sets, made.rounds, made.budget_s, made.seed) == (3, 5, 1.5, 0)
    assert made.image_size == 299


@pytest.mark.usefixtures("_gpu")
def test_the_state_of_the_cache_is_an_option() -> None:
    assert plan().l2 == "cold"
    assert plan(l2="warm").l2 == "warm"
    assert plan(device="cpu").l2 == plan(device="cpu", l2="warm").l2 == "warm"
    with pytest.raises(RequestError, match="--l2 cold is about a GPU's cache"):
        plan(device="cpu", l2="cold")


def test_how_sure_is_an_option() -> None:
    assert plan().precision == PRECISION
    assert plan(precision="0.005").precision == 0.005
    profile = PROFILES["default"]
    assert (plan().extra_s, plan().budget_s) == (profile.extra_s, None)
    assert (plan(budget="30").extra_s, plan(budget="30").budget_s) == (30, 30)


def test_a_ceiling_is_the_profile_s_and_an_option() -> None:
    assert [plan(profile=name).ceiling for name in ("quick", "default", "full")] == [
        False,
        True,
        True,
    ]
    assert plan(profile="quick", ceiling=True).ceiling
    assert not plan(ceiling=False).ceiling


@pytest.mark.usefixtures("_gpu")
def test_energy_is_the_profile_s_and_an_option_on_cuda() -> None:
    assert [plan(profile=name).energy for name in ("quick", "default", "full")] == [
        False,
        True,
        True,
    ]
    assert plan(profile="quick", energy=True).energy
    assert not plan(energy=False).energy
    assert not plan(device="cpu").energy


def test_a_cpu_has_no_counter_of_energy() -> None:
    assert not plan().energy
    with pytest.raises(RequestError, match="--energy is a CUDA device's"):
        plan(energy=True)


@pytest.mark.usefixtures("_gpu")
def test_a_cuda_device_may_be_shared_where_that_is_asked_for() -> None:
    assert not plan().allow_shared
    assert plan(allow_shared=True).allow_shared


def test_a_cpu_is_shared_by_another_option() -> None:
    with pytest.raises(
        RequestError, match=r"--allow-shared is about a CUDA .* on cpu, where --foreign-cpus"
    ):
        plan(allow_shared=True)


def test_what_is_foreign_and_what_is_free_are_options() -> None:
    assert plan().memory_bytes is None
    assert plan(foreign_cpus="0.5").foreign_cpus == 0.5
    assert plan(memory="1.5").memory_bytes == 3 * 2**29


@pytest.mark.parametrize(("quota", "most"), [(None, FOREIGN_CPUS), (2.0, 7.0)])
def test_others_may_keep_busy_what_a_quota_leaves_idle(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, most: float
) -> None:
    monkeypatch.setattr("bench.machine.environment.allowed_cores", lambda: 16)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: quota)
    assert plan().foreign_cpus == most


def test_on_a_cpu_the_largest_batch_is_looked_for_in_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "free_host_bytes", lambda: 8 * 2**30)
    assert not plan().fit
    assert plan(fit=True, memory="4").fit
    with pytest.raises(RequestError, match="--fit needs --memory GIB on a CPU"):
        plan(fit=True)
    with pytest.raises(RequestError, match=r"4.5 GiB is more than half of the 8.0 GiB"):
        plan(fit=True, memory="4.5")


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_it_is_the_device_s_memory() -> None:
    made = plan(fit=True, memory="4")
    assert (made.fit, made.fit_bytes) == (True, None)


def test_the_environment_is_an_option() -> None:
    assert plan().environment == "pinned"
    assert plan(environment="default").environment == "default"
    with pytest.raises(RequestError, match="no environment is called 'pined'; did you mean"):
        plan(environment="pined")


def test_seeds_are_drawn_where_none_is_given() -> None:
    assert len({plan().seed for _ in range(8)}) > 1


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("profile", "", "no profile is called ''; known: quick, "),
        ("precision", "2", "--precision is a share, of 1 at the most, not 2"),
        ("profile", "quik", "no profile is called 'quik'; did you mean 'quick'? known: quick, "),
        ("archs", "gogglenet", "no arch is called 'gogglenet'; did you mean 'googlenet'?"),
        ("archs", "", "--archs '' has an empty name between its commas"),
        ("archs", "googlenet,,torchvision", "has an empty name between its commas"),
        ("archs", "googlenet,", "--archs 'googlenet,' has an empty name between its commas"),
        ("modes", "compiled", "no mode token is called 'compiled'; did you mean 'compile'?"),
        ("modes", "eager+compile", "mode 'eager+compile' has 2 executors"),
        ("dtypes", "fp64", "no dtype is called 'fp64'"),
        ("dtypes", "fp16", "dtype 'fp16' does not run on cpu; there: fp32, bf16"),
        ("batch_sizes", "0", "a batch holds at least one image, not 0"),
        ("batch_sizes", "1,x", "--batch-sizes takes a whole number, not 'x'"),
        ("batch_sizes", "1.5", "--batch-sizes takes a whole number, not '1.5'"),
        ("image_size", "0", "--image-size must be at least 1, not 0"),
        ("image_size", "224x224", "--image-size takes a whole number, not '224x224'"),
        ("tasks", "inference", "no task is called 'inference'; did you mean 'infer'?"),
        ("device", "tpu", "no device is called 'tpu'; there are cpu, cuda, cuda:N and cuda:all"),
        ("device", "", "no device is called ''"),
        ("device", "cpu:0", "no device is called 'cpu:0'"),
        ("device", "cuda:", "no device is called 'cuda:'"),
        ("device", "cuda:x", "no device is called 'cuda:x'"),
        ("device", "cuda:-1", "no device is called 'cuda:-1'"),
        ("device", "cuda:²", "no device is called 'cuda:²'"),
        ("device", "cuda:all", "--device cuda:all: the NVIDIA driver shows no device"),
        ("device", "cuda", "--device cuda: the NVIDIA driver shows no device on this machine"),
        ("sets", "0", "--sets must be at least 1, not 0"),
        ("sets", "two", "--sets takes a whole number, not 'two'"),
        ("rounds", "-3", "--rounds must be at least 1, not -3"),
        ("rounds", "1e3", "--rounds takes a whole number, not '1e3'"),
        ("budget", "0", "--budget must be a positive number of seconds, not 0"),
        ("budget", "-1", "--budget must be a positive number of seconds, not -1"),
        ("budget", "nan", "--budget must be a positive number of seconds, not nan"),
        ("budget", "inf", "--budget must be a positive number of seconds, not inf"),
        ("budget", "5m", "--budget takes a number, not '5m'"),
        ("seed", "-1", "--seed must be at least 0, not -1"),
        ("seed", "x", "--seed takes a whole number, not 'x'"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(option: str, value: str, says: str) -> None:
    with pytest.raises(RequestError) as raised:
        plan(**{option: value})
    assert says in str(raised.value)


def test_fp16_does_not_train() -> None:
    with pytest.raises(RequestError, match="does not run on cpu"):
        plan(dtypes="fp16", tasks="train")


@pytest.mark.usefixtures("_gpu")
def test_fp16_does_not_train_on_a_gpu_either() -> None:
    with pytest.raises(RequestError, match="fp16 trains only with loss scaling"):
        plan(dtypes="fp16", tasks="train")


def test_reports_go_to_the_machines_folder_or_where_told() -> None:
    assert report_folder.resolve(config(), "nvidia-h200") == ROOT / "reports" / "nvidia-h200"
    assert report_folder.resolve(config(report_dir="out"), "nvidia-h200") == Path("out")


def test_the_command_can_be_typed_again(pytestconfig: pytest.Config) -> None:
    arguments = [str(argument) for argument in pytestconfig.invocation_params.args]
    assert shlex.split(planning.command(pytestconfig)) == ["pytest", *arguments]


@pytest.mark.parametrize(
    "place", [["--report-dir", "/home/me/x"], ["--report-dir=/home/me/x"], ["--junitxml=/home/me"]]
)
def test_the_command_does_not_say_where_ones_files_went(place: list[str]) -> None:
    typed = ["bench/suite", "--sets", "8", *place, "-k", "compile and not train"]
    invoked: Any = SimpleNamespace(invocation_params=SimpleNamespace(args=typed))
    told = "pytest bench/suite --sets 8 -k 'compile and not train'"
    assert planning.command(invoked) == told


@pytest.mark.usefixtures("_gpu")
def test_a_device_that_the_driver_does_not_show_is_refused() -> None:
    assert plan(device="cuda:1").cells[0].device == "cuda:1"
    with pytest.raises(RequestError, match="shows 2 of them"):
        plan(device="cuda:2")


def test_a_report_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    report_folder.check(config(report_dir=str(tmp_path / "new" / "one")))
    assert not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RequestError, match="cannot write to"):
        report_folder.check(config(report_dir=str(file)))
    with pytest.raises(RequestError, match="--report-dir is empty"):
        report_folder.check(config(report_dir=""))


def test_every_option_is_added_once(pytestconfig: pytest.Config) -> None:
    """In the real configuration, where the suite's own conftest added them."""
    missing: Any = object()
    for name in GIVEN_NOTHING:
        assert pytestconfig.getoption(name, missing) is not missing
