from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench import capture
from bench.archs.source import Inputs
from bench.cells import inputs
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES, Dtype
from bench.cells.tasks import Inference, Task
from bench.executors import EXECUTORS
from bench.worker import memory, subject
from bench.worker.clock import Step, Timing
from bench.worker.correctness import WrongAnswerError
from bench.worker.subject import (
    MAX_WARM_UP_ITERATIONS,
    MAX_WARM_UP_S,
    WARM_UP_GAIN,
    WARM_UP_WINDOW,
)
from tests.bench import assembled, tiny

FP32, BF16 = DTYPES["fp32"], DTYPES["bf16"]
IMAGE_SIZE = 16
BATCH_BYTES = 2 * 3 * 16 * 16 * 4  # two images in fp32
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
def test_fewer_than_two_windows_are_not_steady(count: int) -> None:
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
def test_a_window_is_steady_unless_it_is_much_faster_than_the_previous_one(
    before: float, last: float, steady: bool
) -> None:
    durations = [before * MS] * WARM_UP_WINDOW + [last * MS] * WARM_UP_WINDOW
    assert subject.is_steady(durations) is steady
    assert subject.is_steady([1.0, *durations]) is steady


def test_single_iterations_of_a_slow_network_are_compared() -> None:
    assert not subject.is_steady([1.0])
    assert subject.is_steady([1.0, 1.0])
    assert not subject.is_steady([1.0, 1.0 - 2 * WARM_UP_GAIN])
    assert subject.is_steady([9.0, 1.0, 1.0])


def test_one_slow_iteration_does_not_matter() -> None:
    assert subject.is_steady([MS, 1.0, MS, MS, MS, MS])
    assert subject.is_steady([1.0, 1.0, 1.0, 1.0, 0.01, 1.0])


def prepared(cell: Cell) -> subject.Subject:
    return subject.prepare(cell, image_size=IMAGE_SIZE, seed=3)


def output_of(ready: subject.Subject) -> Tensor:
    with ready.task.context():
        output = ready.task.answer().outputs["output"]
    assert isinstance(output, Tensor)
    return output


def test_prepare_builds_an_inference_task() -> None:
    ready = prepared(CELL)
    output = ready.task.step()
    assert isinstance(output, Tensor)
    assert output.shape == (CELL.batch_size, tiny.NUM_CLASSES)
    assert not ready.task.model.training
    assert ready.setup.output_error == 0
    assert ready.setup.error_bound == FP32.error_bound
    assert ready.setup.gradient_error is None
    assert ready.setup.compile_cached is None
    assert ready.setup.resident_before_bytes > 0


def change_after_eager(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Multiply a network's first weights between the eager answer and the cell's own."""
    convert, calls = Inference.convert, count()

    def changed(model: nn.Module, example: Inputs, dtype: Dtype) -> tuple[nn.Module, Inputs]:
        if next(calls):
            with torch.no_grad():
                next(model.parameters()).mul_(factor)
        return convert(model, example, dtype)

    monkeypatch.setattr(Inference, "convert", staticmethod(changed))


def test_a_classifier_initialised_with_zeros_does_not_hide_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from_zero = replace(CELL, arch="tests.bench.tiny:from_zero")
    assert prepared(from_zero).setup.output_error == 0

    change_after_eager(monkeypatch, factor=0.5)
    with pytest.raises(WrongAnswerError, match="the output differs from call to call"):
        prepared(from_zero)


def test_prepare_is_reproducible_for_a_seed() -> None:
    first, second = prepared(CELL), prepared(CELL)
    other = subject.prepare(CELL, image_size=IMAGE_SIZE, seed=4)
    output, repeated, different = (output_of(ready) for ready in (first, second, other))
    assert torch.equal(output, repeated)
    assert not torch.equal(output, different)


def test_prepare_uses_the_memory_format_of_the_mode() -> None:
    ready = prepared(replace(CELL, mode="channels_last"))
    assert ready.task.batch.inputs[0].is_contiguous(memory_format=torch.channels_last)
    assert not ready.task.batch.inputs[0].is_contiguous()
    assert 0 <= ready.setup.output_error < FP32.error_bound


def test_prepare_converts_weights_and_images_to_the_dtype() -> None:
    ready = prepared(replace(CELL, dtype="bf16"))
    assert ready.task.batch.inputs[0].dtype is torch.bfloat16
    assert {p.dtype for p in ready.task.model.parameters()} == {torch.bfloat16}
    assert 0 < ready.setup.output_error < BF16.error_bound


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_prepare_builds_a_training_task(dtype: str) -> None:
    ready = prepared(replace(CELL, task="train", dtype=dtype))
    assert ready.task.model.training
    assert ready.setup.gradient_error is not None
    assert (ready.setup.gradient_error == 0) == (dtype == "fp32")
    assert {p.dtype for p in ready.task.model.parameters()} == {torch.float32}
    # Biases are left out, because a bias before a batch norm has no gradient.
    weights = [p for p in ready.task.model.parameters() if p.ndim > 1]
    before = [weight.detach().clone() for weight in weights]
    ready.task.step()
    assert all(not torch.equal(*pair) for pair in zip(before, weights, strict=True))


def test_a_network_of_few_classes_trains() -> None:
    ready = prepared(replace(CELL, arch="tests.bench.tiny:of_ten_classes", task="train"))
    assert ready.setup.gradient_error == 0
    assert ready.task.batch.targets.max() < 10


def test_prepare_refuses_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    change_after_eager(monkeypatch, factor=2.0)
    with pytest.raises(WrongAnswerError, match="the output differs from call to call"):
        prepared(CELL)


# The warning comes from autotuning in torch 2.11.
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_max_autotune_gives_right_answers_on_a_cpu() -> None:
    """A CPU has no CUDA graphs, so none count as skipped."""
    ready = prepared(replace(CELL, mode="max-autotune"))
    assert ready.setup.output_error < FP32.error_bound
    assert ready.setup.graphs >= 1
    assert ready.setup.cudagraph_skips == 0
    assert (ready.setup.batches, ready.flush) == (1, None)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["eager", "channels_last", "cudagraphs"])
def test_googlenet_is_within_the_bound_of_each_dtype_on_a_gpu(mode: str, dtype: str) -> None:
    cell = replace(CELL, arch="googlenet", mode=mode, dtype=dtype, device="cuda")
    setup = subject.prepare(cell, image_size=224, seed=0).setup
    assert 0 <= setup.output_error < setup.error_bound
    assert setup.tf32_convolutions is setup.tf32_products is (dtype == "tf32")


# Inductor warns if fp32 does not use TF32. Other warnings of Inductor and Triton are ignored too.
may_warn = pytest.mark.filterwarnings("default")


@pytest.mark.gpu
@may_warn
@pytest.mark.parametrize(
    ("arch", "mode"),
    # GoogLeNet takes half a minute to compile, and minutes to autotune. So only reduce-overhead,
    # which also covers compilation, uses it.
    [
        ("googlenet" if name == "reduce-overhead" else CELL.arch, name)
        for name, executor in EXECUTORS.items()
        if executor.compiles and not executor.missing
    ],
)
def test_each_compiled_mode_gives_right_answers_on_a_gpu(arch: str, mode: str) -> None:
    cell = replace(CELL, arch=arch, mode=mode, device="cuda")
    ready = subject.prepare(cell, image_size=224, seed=0, l2="cold")
    assert ready.setup.output_error < ready.setup.error_bound
    assert ready.setup.cudagraph_skips == 0
    assert (ready.setup.graphs >= 1) == EXECUTORS[mode].captures
    graphs = subject.compiled_graphs()
    with ready.task.context():
        for _ in range(ready.setup.batches + 1):
            ready.task.step()
    assert subject.compiled_graphs() == graphs  # no batch needs another program


def test_graphs_that_inductor_skips_silently_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Inductor's counter omits a graph that has no part to replay."""
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    assert subject.cudagraph_skips(2) == 2
    assert subject.cudagraph_skips(0) == 0  # captured without Inductor
    monkeypatch.setattr("torch._inductor.cudagraph_trees.get_manager", lambda *_, **__: "there")
    torch._dynamo.utils.counters["inductor"].clear()
    assert subject.cudagraph_skips(2) == 0


@pytest.mark.gpu
@may_warn
def test_a_training_step_runs_with_cuda_graphs() -> None:
    cell = replace(CELL, mode="reduce-overhead", device="cuda", task="train")
    ready = subject.prepare(cell, image_size=224, seed=0)
    assert ready.setup.gradient_error is not None
    with ready.task.context():
        for _ in range(4):
            ready.task.step()


@pytest.mark.gpu
def test_cold_batches_exceed_the_cache_and_do_not_count_as_network_memory() -> None:
    device = torch.device("cuda")
    # The workspace of cuBLAS stays allocated, so it is allocated before the first reading.
    nn.Linear(8, 8, device=device)(torch.ones(1, 8, device=device))
    before = memory.in_use(device)  # by other tests
    ready = subject.prepare(replace(CELL, device="cuda"), image_size=224, seed=0, l2="cold")
    batch_bytes = ready.task.batch.inputs[0].nbytes
    cache_bytes = inputs.l2_bytes(device)
    assert (ready.setup.batches - 1) * batch_bytes <= cache_bytes
    assert cache_bytes < ready.setup.batches * batch_bytes
    assert ready.apparatus.allocated_bytes >= (inputs.FLUSH + 1) * cache_bytes - batch_bytes
    memory.reset_peak(device)
    with ready.task.context():
        ready.task.step()
    peaks = memory.peaks(device, ready.apparatus)
    assert peaks.allocated_bytes is not None
    assert peaks.reserved_bytes is not None
    assert 0 < peaks.allocated_bytes - before.allocated_bytes < cache_bytes
    # The step may use memory that other tests reserved, so the increase may be 0.
    assert 0 <= peaks.reserved_bytes - before.reserved_bytes < cache_bytes


class FakeClock:
    """A clock for steps that take ``first_s``, and then ``factor`` times the previous duration."""

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


def task() -> Task:
    torch.manual_seed(0)
    return assembled.task(tiny.net(), inputs.random_images(2, IMAGE_SIZE))


def test_cold_batches_and_the_flush_are_memory_of_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda, cpu, make_flush = torch.device("cuda"), torch.device("cpu"), inputs.Flush
    allocated, reserved = iter([100, 700]), iter([1000, 3000])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: next(allocated))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: next(reserved))
    monkeypatch.setattr(inputs, "l2_bytes", lambda _: 3 * BATCH_BYTES)
    monkeypatch.setattr(inputs, "Flush", lambda size, _: make_flush(size, cpu))

    def draw(batch_size: int) -> Inputs:
        return (inputs.random_images(batch_size, IMAGE_SIZE),)

    ready = task()
    batches, flush, apparatus = subject._set_up_cache(ready, draw, cuda, "cold")
    assert batches == 4  # three fill the cache
    assert isinstance(flush, make_flush)
    assert flush._written.nbytes == 2 * 3 * BATCH_BYTES
    assert apparatus == memory.DeviceMemory(allocated_bytes=600, reserved_bytes=2000)
    used = [next(ready._turns)[0][0].data_ptr() for _ in range(5)]
    assert len(set(used)) == 4
    assert used[4] == used[0] == ready.batch.inputs[0].data_ptr()


def test_a_warm_cache_needs_no_memory_of_its_own() -> None:
    for device, l2 in (("cuda", "warm"), ("cpu", "cold")):
        found = subject._set_up_cache(task(), unused, torch.device(device), l2)
        assert found == (1, None, memory.NO_MEMORY)


def unused(batch_size: int) -> Inputs:
    raise AssertionError(f"{batch_size} images were drawn")


def test_prepare_restores_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    subject.prepare(CELL, image_size=32, seed=0, threads=1)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("mode", "threads"), [("packed", 2), ("fold", 1)])
def test_weights_are_packed_with_the_threads_that_will_use_them(
    monkeypatch: pytest.MonkeyPatch, mode: str, threads: int
) -> None:
    """Weights that oneDNN packed for one thread make a convolution in two three times as slow."""
    seen: list[int] = []
    apply = capture.exported_program

    def recorded(*arguments: Any) -> Any:
        seen.append(torch.get_num_threads())
        return apply(*arguments)

    monkeypatch.setattr(capture, "exported_program", recorded)
    own = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        subject.prepare(replace(CELL, mode=mode), image_size=32, seed=0, threads=1)
    finally:
        torch.set_num_threads(own)
    assert seen == [threads]


def test_warm_up_ends_once_the_latency_stops_falling() -> None:
    durations = subject.warm_up(task(), FakeClock(1.0, first_s=MS), lambda: 0.0)
    assert durations == [MS] * (2 * WARM_UP_WINDOW)


def test_warm_up_ends_even_if_the_latency_keeps_falling() -> None:
    durations = subject.warm_up(task(), FakeClock(0.5), lambda: 0.0)
    assert durations == [0.5**index for index in range(MAX_WARM_UP_ITERATIONS)]


def test_warm_up_ends_at_its_time_limit() -> None:
    readings = iter([0.0, 1.0, MAX_WARM_UP_S, MAX_WARM_UP_S + 1])
    assert subject.warm_up(task(), FakeClock(0.5), lambda: next(readings)) == [1.0, 0.5, 0.25]


def branching(x: Tensor) -> Tensor:
    return x + 1 if x.sum() > 0 else x - 1


def test_a_branch_on_a_value_counts_as_a_graph_break() -> None:
    torch._dynamo.reset()
    graphs, _ = subject.compiled_graphs()
    torch.compile(branching, backend="eager")(torch.ones(3))
    assert subject.compiled_graphs()[0] > graphs
    assert subject.compiled_graphs()[1] == 1
