import pytest

from bench.api import planning
from bench.api.measure_request import MeasureRequest
from bench.api.option import declared, read
from bench.api.profiles import MODES, PRECISION, PROFILES, REFERENCE_ARCH, SWEEP, THROUGHPUT_BATCH
from bench.cells.plan import Plan
from bench.cells.plan_values import FOREIGN_CPUS
from bench.errors import RequestError


def request(**options: str | bool) -> MeasureRequest:
    """Return the request of options, given as on the command line."""
    defaults = {name: option.default for name, option in declared(MeasureRequest).items()}
    assert options.keys() <= defaults.keys()
    return read(MeasureRequest, {**defaults, **options}.get)


def plan(**options: str | bool) -> Plan:
    return planning.make_plan(request(**options))


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 0)


@pytest.fixture
def _gpu(_no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 2)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_supplies_what_options_do_not(name: str) -> None:
    profile, result = PROFILES[name], plan(profile=name)
    assert {cell.arch for cell in result.cells} == set(profile.archs)
    assert {cell.mode for cell in result.cells} == set(profile.modes)
    batches = {1, THROUGHPUT_BATCH["cpu"]} if profile.throughput else {1}
    if profile.sweep:
        batches = set(SWEEP["cpu"])
    assert {cell.batch_size for cell in result.cells} == batches
    assert {(c.dtype, c.task, c.device) for c in result.cells} == {("fp32", "infer", "cpu")}
    assert len(result.cells) == len(profile.archs) * len(profile.modes) * len(batches)
    assert (result.sets, result.rounds) == (profile.sets, None)
    assert (result.budget_s, result.image_size) == (None, None)


def test_quick_measures_googlenet_and_the_reference() -> None:
    assert {(cell.arch, cell.mode) for cell in plan(profile="quick").cells} == {
        (arch, mode) for arch in ("googlenet", REFERENCE_ARCH) for mode in MODES
    }


@pytest.mark.usefixtures("_gpu")
def test_all_gpus_take_sets_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.driver.names", lambda: ("NVIDIA H100",) * 2)
    result = plan(device="cuda:all", dtypes="fp16")
    assert result.devices == ("cuda:0", "cuda:1")
    assert {cell.device for cell in result.cells} == {"cuda:all"}
    assert {cell.batch_size for cell in result.cells} == {1, THROUGHPUT_BATCH["cuda"]}
    assert plan(device="cuda:1").devices == ()


@pytest.mark.usefixtures("_gpu")
def test_a_sweep_has_larger_batches_on_a_gpu() -> None:
    assert {cell.batch_size for cell in plan(profile="sweep").cells} == {1, 8, 32, 128, 256}


@pytest.mark.usefixtures("_gpu")
def test_a_gpu_is_the_default_device_if_there_is_one() -> None:
    result = plan()
    assert {cell.device for cell in result.cells} == {"cuda"}
    assert {cell.batch_size for cell in result.cells} == {1, THROUGHPUT_BATCH["cuda"]}
    assert {cell.device for cell in plan(device="cpu").cells} == {"cpu"}
    numbered = plan(device="cuda:1", dtypes="fp16,tf32")
    assert {cell.device for cell in numbered.cells} == {"cuda:1"}
    assert {cell.batch_size for cell in numbered.cells} == {1, THROUGHPUT_BATCH["cuda"]}


def test_options_override_the_profile() -> None:
    result = plan(
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
    assert {cell.arch for cell in result.cells} == {"googlenet", "torchvision:resnet18"}
    assert {cell.mode for cell in result.cells} == {"compile+channels_last"}
    assert {cell.dtype for cell in result.cells} == {"fp32", "bf16"}
    assert {cell.batch_size for cell in result.cells} == {2, 4}
    assert {cell.task for cell in result.cells} == {"infer", "train"}
    assert len(result.cells) == 2 * 1 * 2 * 2 * 2
    assert (result.sets, result.rounds, result.budget_s, result.seed) == (3, 5, 1.5, 0)
    assert result.image_size == 299


@pytest.mark.usefixtures("_gpu")
def test_l2_sets_the_state_of_the_cache() -> None:
    assert plan().l2 == "cold"
    assert plan(l2="warm").l2 == "warm"
    assert plan(device="cpu").l2 == plan(device="cpu", l2="warm").l2 == "warm"
    with pytest.raises(RequestError, match="--l2 cold is about a GPU's cache"):
        plan(device="cpu", l2="cold")


def test_precision_and_budget_are_options() -> None:
    assert plan().precision == PRECISION
    assert plan(precision="0.005").precision == 0.005
    profile = PROFILES["default"]
    assert (plan().extra_s, plan().budget_s) == (profile.extra_s, None)
    assert (plan(budget="30").extra_s, plan(budget="30").budget_s) == (30, 30)


def test_the_profile_or_an_option_decides_on_ceilings() -> None:
    assert [plan(profile=name).ceiling for name in ("quick", "default", "full")] == [
        False,
        True,
        True,
    ]
    assert plan(profile="quick", ceiling=True).ceiling
    assert not plan(ceiling=False).ceiling


@pytest.mark.usefixtures("_gpu")
def test_the_profile_or_an_option_decides_on_energy_on_cuda() -> None:
    assert [plan(profile=name).energy for name in ("quick", "default", "full")] == [
        False,
        True,
        True,
    ]
    assert plan(profile="quick", energy=True).energy
    assert not plan(energy=False).energy
    assert not plan(device="cpu").energy


def test_energy_on_a_cpu_is_refused() -> None:
    assert not plan().energy
    with pytest.raises(RequestError, match="--energy needs a CUDA device"):
        plan(energy=True)


@pytest.mark.usefixtures("_gpu")
def test_allow_shared_permits_a_shared_cuda_device() -> None:
    assert not plan().allow_shared
    assert plan(allow_shared=True).allow_shared


def test_allow_shared_on_a_cpu_names_foreign_cpus() -> None:
    with pytest.raises(
        RequestError, match=r"--allow-shared applies only to CUDA .* uses cpu; use --foreign-cpus"
    ):
        plan(allow_shared=True)


def test_foreign_cpus_and_memory_are_options() -> None:
    assert plan().memory_bytes is None
    assert plan(foreign_cpus="0.5").foreign_cpus == 0.5
    assert plan(memory="1.5").memory_bytes == 3 * 2**29


@pytest.mark.parametrize(("quota", "expected"), [(None, FOREIGN_CPUS), (2.0, 7.0)])
def test_other_processes_may_use_half_of_what_a_quota_leaves_idle(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: float
) -> None:
    monkeypatch.setattr("bench.machine.cores.allowed_cores", lambda: 16)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: quota)
    assert plan().foreign_cpus == expected


def test_fit_on_a_cpu_needs_a_memory_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "free_host_bytes", lambda: 8 * 2**30)
    assert not plan().fit
    assert plan(fit=True, memory="4").fit
    with pytest.raises(RequestError, match="--fit needs --memory GIB on a CPU"):
        plan(fit=True)
    with pytest.raises(RequestError, match=r"4.5 GiB is more than half of the free 8.0 GiB"):
        plan(fit=True, memory="4.5")


@pytest.mark.usefixtures("_gpu")
def test_fit_on_a_gpu_is_limited_only_by_its_memory() -> None:
    result = plan(fit=True, memory="4")
    assert (result.fit, result.fit_bytes) == (True, None)


def test_the_environment_is_an_option() -> None:
    assert plan().environment == "pinned"
    assert plan(environment="default").environment == "default"
    with pytest.raises(RequestError, match="no environment is called 'pined'; did you mean"):
        plan(environment="pined")


def test_the_seed_is_random_by_default() -> None:
    assert len({plan().seed for _ in range(8)}) > 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("profile", "", "no profile is called ''; known: quick, "),
        ("precision", "2", "--precision must be a share of at most 1, not 2"),
        ("profile", "quik", "no profile is called 'quik'; did you mean 'quick'? known: quick, "),
        ("archs", "gogglenet", "no arch is called 'gogglenet'; did you mean 'googlenet'?"),
        ("archs", "", "--archs '' has an empty name between its commas"),
        ("archs", "googlenet,,torchvision", "has an empty name between its commas"),
        ("archs", "googlenet,", "--archs 'googlenet,' has an empty name between its commas"),
        ("modes", "compiled", "no mode token is called 'compiled'; did you mean 'compile'?"),
        ("modes", "eager+compile", "mode 'eager+compile' has 2 executors"),
        ("dtypes", "fp64", "no dtype is called 'fp64'"),
        ("dtypes", "fp16", "dtype 'fp16' does not run on cpu; available there: fp32, bf16"),
        ("batch_sizes", "0", "a batch holds at least one image, not 0"),
        ("batch_sizes", "1,x", "--batch-sizes takes a whole number, not 'x'"),
        ("batch_sizes", "1.5", "--batch-sizes takes a whole number, not '1.5'"),
        ("image_size", "0", "--image-size must be at least 1, not 0"),
        ("image_size", "224x224", "--image-size takes a whole number, not '224x224'"),
        ("tasks", "inference", "no task is called 'inference'; did you mean 'infer'?"),
        ("device", "tpu", "no device is called 'tpu'; known: cpu, cuda, cuda:N and cuda:all"),
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
        ("report_dir", "", "--report-dir is empty: name a folder, or omit the option"),
    ],
)
def test_an_invalid_value_is_refused_with_a_message(option: str, value: str, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        plan(**{option: value})
    assert message in str(raised.value)


def test_fp16_training_is_refused_on_a_cpu() -> None:
    with pytest.raises(RequestError, match="does not run on cpu"):
        plan(dtypes="fp16", tasks="train")


@pytest.mark.usefixtures("_gpu")
def test_fp16_training_is_refused_on_a_gpu() -> None:
    with pytest.raises(RequestError, match="fp16 trains only with loss scaling"):
        plan(dtypes="fp16", tasks="train")


@pytest.mark.usefixtures("_gpu")
def test_a_device_that_the_driver_does_not_show_is_refused() -> None:
    assert plan(device="cuda:1").cells[0].device == "cuda:1"
    with pytest.raises(RequestError, match="shows 2 devices"):
        plan(device="cuda:2")


def test_a_plan_of_many_cells_says_how_long_it_takes() -> None:
    assert planning.announcement(plan(profile="quick")) == ""
    many = planning.announcement(
        plan(archs="torchvision:resnet*", modes="eager,compile", batch_sizes="1,8", sets="3")
    )
    assert many.startswith("20 cells of 5 networks: 3 sets take roughly 4 minutes if an iteration")
    one = planning.estimate(plan(archs="googlenet", modes="eager", batch_sizes="1", sets="1"))
    assert one.startswith("1 set takes roughly 8 seconds if an iteration takes 30 ms, and longer")


def test_an_input_shape_is_a_part_of_the_plan() -> None:
    made = plan(
        archs="tests.bench.tiny:net,googlenet",
        modes="eager",
        batch_sizes="1",
        input_shape="1x28x28",
    )
    assert [cell.arch for cell in made.cells] == ["tests.bench.tiny:net", "googlenet"]
    assert made.input_shape == (1, 28, 28)
    for wrong in ("28", "1x28", "1x28x28x1"):
        with pytest.raises(RequestError, match="--input-shape takes channels, height and width"):
            plan(input_shape=wrong)
    with pytest.raises(RequestError, match="--input-shape takes a whole number, not 'a'"):
        plan(input_shape="axbxc")
    with pytest.raises(RequestError, match="--input-shape must be at least 1, not 0"):
        plan(input_shape="0x28x28")
