from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.cells import inputs
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.modes import TOKENS
from bench.cells.tasks import Inference
from bench.worker import memory, subject
from bench.worker.answers import WrongAnswerError
from bench.worker.clock import Step, Timing
from bench.worker.subject import (
    WARM_UP_GAIN,
    WARM_UP_MOST,
    WARM_UP_MOST_S,
    WARM_UP_WINDOW,
)
from tests.bench import tiny

FP32, BF16 = DTYPES["fp32"], DTYPES["bf16"]
IMAGE_SIZE = 16
CELL = Cell(
    arch="tests.bench.tiny:net",
    mode="eager",
    dtype="fp32",
    batch_size=2,
    task="infer",
    device="cpu",
)


MS = 1e-3


@pytest.mark.parametrize("count", range(2 * WARM_UP_WINDOW))
def test_two_windows_are_needed_to_be_steady(count: int) -> None:
    assert not subject.is_steady([MS] * count)


@pytest.mark.parametrize(
    ("before", "last", "steady"),
    [
        (1.0, 1.0, True),
        (1.0, 1 - WARM_UP_GAIN / 2, True),
        (1.0, 1 - WARM_UP_GAIN * 2, False),
        (1.0, 2.0, True),
        (10.0, 1.0, False),
    ],
)
def test_steady_is_hardly_faster_than_before(before: float, last: float, steady: bool) -> None:
    durations = [before * MS] * WARM_UP_WINDOW + [last * MS] * WARM_UP_WINDOW
    assert subject.is_steady(durations) is steady
    assert subject.is_steady([1.0, *durations]) is steady


def test_single_iterations_of_a_slow_network_are_compared() -> None:
    assert not subject.is_steady([1.0])
    assert subject.is_steady([1.0, 1.0])
    assert not subject.is_steady([1.0, 1.0 - 2 * WARM_UP_GAIN])
    assert subject.is_steady([9.0, 1.0, 1.0])


def test_one_slow_iteration_does_not_unsettle() -> None:
    assert subject.is_steady([MS, 1.0, MS, MS, MS, MS])
    assert subject.is_steady([1.0, 1.0, 1.0, 1.0, 0.01, 1.0])


def prepared(cell: Cell) -> subject.Subject:
    return subject.prepare(cell, image_size=IMAGE_SIZE, seed=3)


def output_of(made: subject.Subject) -> Tensor:
    with made.task.context():
        output = made.task.answer().outputs["output"]
    assert isinstance(output, Tensor)
    return output


def test_prepare_makes_an_inference_ready() -> None:
    made = prepared(CELL)
    output = made.task.step()
    assert isinstance(output, Tensor)
    assert output.shape == (CELL.batch_size, tiny.NUM_CLASSES)
    assert not made.task.model.training
    assert made.setup.output_error == 0
    assert made.setup.error_bound == FP32.error_bound
    assert made.setup.gradient_error is None
    assert made.setup.compile_cached is None
    assert made.setup.resident_before_bytes > 0


def test_a_classifier_of_zeros_hides_no_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from_zero = replace(CELL, arch="tests.bench.tiny:from_zero")
    assert prepared(from_zero).setup.output_error == 0

    def halved(_mode: str, model: nn.Module) -> nn.Module:
        with torch.no_grad():
            next(model.parameters()).div_(2)
        return model

    monkeypatch.setattr("bench.cells.modes.apply", halved)
    with pytest.raises(WrongAnswerError, match="the output differs from call to call"):
        prepared(from_zero)


def test_prepare_is_the_same_for_one_seed() -> None:
    first, second = prepared(CELL), prepared(CELL)
    other = subject.prepare(CELL, image_size=IMAGE_SIZE, seed=4)
    one, same, another = (output_of(made) for made in (first, second, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, another)


def test_prepare_stores_images_as_the_mode_says() -> None:
    made = prepared(replace(CELL, mode="channels_last"))
    assert made.task.batch.images.is_contiguous(memory_format=torch.channels_last)
    assert not made.task.batch.images.is_contiguous()
    assert 0 <= made.setup.output_error < FP32.error_bound


def test_prepare_converts_to_the_dtype() -> None:
    made = prepared(replace(CELL, dtype="bf16"))
    assert made.task.batch.images.dtype is torch.bfloat16
    assert {p.dtype for p in made.task.model.parameters()} == {torch.bfloat16}
    assert 0 < made.setup.output_error < BF16.error_bound


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_prepare_makes_a_training_step_ready(dtype: str) -> None:
    made = prepared(replace(CELL, task="train", dtype=dtype))
    assert made.task.model.training
    assert made.setup.gradient_error is not None
    assert (made.setup.gradient_error == 0) == (dtype == "fp32")
    assert {p.dtype for p in made.task.model.parameters()} == {torch.float32}
    # A bias before a batch norm has no gradient.
    weights = [p for p in made.task.model.parameters() if p.ndim > 1]
    before = [weight.detach().clone() for weight in weights]
    made.task.step()
    assert all(not torch.equal(*pair) for pair in zip(before, weights, strict=True))


def test_a_network_of_few_classes_trains() -> None:
    made = prepared(replace(CELL, arch="tests.bench.tiny:of_ten_classes", task="train"))
    assert made.setup.gradient_error == 0
    assert made.task.batch.targets.max() < 10


def test_prepare_refuses_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(_mode: str, model: nn.Module) -> nn.Module:
        with torch.no_grad():
            next(model.parameters()).mul_(2)
        return model

    monkeypatch.setattr("bench.cells.modes.apply", doubled)
    with pytest.raises(WrongAnswerError, match="the output differs from call to call"):
        prepared(CELL)


# The warning comes from torch 2.11's own autotuning.
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_max_autotune_runs_on_a_cpu_and_is_right() -> None:
    """Without CUDA graphs, of which a CPU has none: nothing is said of them."""
    made = prepared(replace(CELL, mode="max-autotune"))
    assert made.setup.output_error < FP32.error_bound
    assert made.setup.graphs >= 1
    assert made.setup.cudagraph_skips == 0
    assert (made.setup.batches, made.flush) == (1, None)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["eager", "channels_last", "cudagraphs"])
def test_googlenet_is_within_each_dtype_s_bound_on_a_gpu(mode: str, dtype: str) -> None:
    cell = replace(CELL, arch="googlenet", mode=mode, dtype=dtype, device="cuda")
    setup = subject.prepare(cell, image_size=224, seed=0).setup
    assert 0 <= setup.output_error < setup.error_bound
    assert setup.tf32_convolutions is setup.tf32_products is (dtype == "tf32")


# Inductor warns of an fp32 that is fp32, and what else it and Triton warn of is theirs as well.
may_warn = pytest.mark.filterwarnings("default")


@pytest.mark.gpu
@may_warn
@pytest.mark.parametrize(
    ("arch", "mode"),
    # A GoogLeNet takes half a minute to compile, and minutes to try kernels out for; what is
    # replayed was compiled.
    [
        ("googlenet" if name == "reduce-overhead" else CELL.arch, name)
        for name, token in TOKENS.items()
        if token.compiles
    ],
)
def test_each_compiled_mode_is_right_on_a_gpu(arch: str, mode: str) -> None:
    cell = replace(CELL, arch=arch, mode=mode, device="cuda")
    made = subject.prepare(cell, image_size=224, seed=0, l2="cold")
    assert made.setup.output_error < made.setup.error_bound
    assert made.setup.cudagraph_skips == 0
    assert made.setup.graphs >= 1
    graphs = subject.compiled_graphs()
    with made.task.context():
        for _ in range(made.setup.batches + 1):
            made.task.step()
    assert subject.compiled_graphs() == graphs  # no batch is another program


def test_graphs_that_inductor_silently_leaves_alone_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Inductor's own counter leaves out a graph without a part to replay."""
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    assert subject.cudagraph_skips(2) == 2
    assert subject.cudagraph_skips(0) == 0  # captured by us: Inductor has no part in it
    monkeypatch.setattr("torch._inductor.cudagraph_trees.get_manager", lambda *_, **__: "there")
    torch._dynamo.utils.counters["inductor"].clear()
    assert subject.cudagraph_skips(2) == 0


@pytest.mark.gpu
@may_warn
def test_a_step_trains_with_cuda_graphs() -> None:
    cell = replace(CELL, mode="reduce-overhead", device="cuda", task="train")
    made = subject.prepare(cell, image_size=224, seed=0)
    assert made.setup.gradient_error is not None
    with made.task.context():
        for _ in range(4):
            made.task.step()


@pytest.mark.gpu
def test_cold_batches_together_exceed_the_cache_and_are_no_memory_of_the_network() -> None:
    device = torch.device("cuda")
    nn.Linear(8, 8, device=device)(torch.ones(1, 8, device=device))  # what cuBLAS works in stays
    before = memory.held(device)  # by other tests
    made = subject.prepare(replace(CELL, device="cuda"), image_size=224, seed=0, l2="cold")
    batch_bytes = made.task.batch.images.nbytes
    cache_bytes = inputs.l2_bytes(device)
    assert (made.setup.batches - 1) * batch_bytes <= cache_bytes
    assert cache_bytes < made.setup.batches * batch_bytes
    assert made.apparatus.allocated_bytes >= (inputs.FLUSH + 1) * cache_bytes - batch_bytes
    memory.reset_peak(device)
    with made.task.context():
        made.task.step()
    peaks = memory.peaks(device, made.apparatus)
    assert 0 < peaks["peak_allocated_bytes"] - before.allocated_bytes < cache_bytes
    # It may have found room in what other tests had reserved.
    assert 0 <= peaks["peak_reserved_bytes"] - before.reserved_bytes < cache_bytes


class FakeClock:
    """Times steps that take ``first_s``, then each ``factor`` times as long as the one before."""

    def __init__(self, factor: float, first_s: float = 1.0) -> None:
        self._factor = factor
        self._next_s = first_s

    def time(self, step: Step, iterations: int) -> Timing:
        durations = []
        for _ in range(iterations):
            step()
            durations.append(self._next_s)
            self._next_s *= self._factor
        return Timing(host_s=tuple(durations), device_s=())


def task() -> Inference:
    torch.manual_seed(0)
    return Inference(tiny.net(), inputs.random_images(2, IMAGE_SIZE), torch.zeros(2), FP32)


def test_building_in_fewer_threads_leaves_the_cells_own_number() -> None:
    threads = torch.get_num_threads()
    subject.prepare(CELL, image_size=32, seed=0, threads=1)
    assert torch.get_num_threads() == threads


def test_warm_up_ends_once_the_latency_stops_falling() -> None:
    durations = subject.warm_up(task(), FakeClock(1.0, first_s=MS), lambda: 0.0)
    assert durations == [MS] * (2 * WARM_UP_WINDOW)


def test_warm_up_of_what_never_settles_ends() -> None:
    durations = subject.warm_up(task(), FakeClock(0.5), lambda: 0.0)
    assert durations == [0.5**index for index in range(WARM_UP_MOST)]


def test_warm_up_ends_when_its_time_is_up() -> None:
    readings = iter([0.0, 1.0, WARM_UP_MOST_S, WARM_UP_MOST_S + 1])
    assert subject.warm_up(task(), FakeClock(0.5), lambda: next(readings)) == [1.0, 0.5, 0.25]


def branching(x: Tensor) -> Tensor:
    return x + 1 if x.sum() > 0 else x - 1


def test_a_branch_on_a_value_breaks_the_graph() -> None:
    torch._dynamo.reset()
    graphs, _ = subject.compiled_graphs()
    torch.compile(branching, backend="eager")(torch.ones(3))
    assert subject.compiled_graphs()[0] > graphs
    assert subject.compiled_graphs()[1] == 1
