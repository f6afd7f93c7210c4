from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import repeat

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.cells.dtypes import DTYPES
from bench.records.record import BackToBack
from bench.records.reported import Ceiling
from bench.units import GIB, MIB
from bench.worker import ceiling
from bench.worker.ceiling import BLOCK_ITERATIONS, MIN_PROBE_S, MIN_REPETITIONS, Convolution, Sizes
from bench.worker.clock import Step, Timing

CPU = torch.device("cpu")
SMALL = Convolution(batch_size=2, channels=3, side=5, kernel=3)
TINY = Sizes(products=(4, 8), convolutions=(SMALL,))
GAP_S = 0.375
DURATION_S = MIN_PROBE_S / 2  # a power of two, so that quotients are exact


class FakeClock:
    """A clock that runs each step and reports the next of the given durations."""

    def __init__(self, durations_s: Iterable[float]) -> None:
        self._durations_s = iter(durations_s)
        self.steps = 0

    def time(self, step: Step, iterations: int) -> Timing:
        assert iterations == 1
        step()
        self.steps += 1
        return Timing(host_s=(next(self._durations_s),), device_s=())

    def back_to_back(self, step: Step, iterations: int) -> BackToBack | None:
        del step, iterations
        return None


class FakeCudaClock(FakeClock):
    """A clock of a device that waits ``GAP_S`` for the first launch of a block."""

    def __init__(self, durations_s: Iterable[float], *, knows_busy: bool) -> None:
        super().__init__(durations_s)
        self._knows_busy = knows_busy

    def back_to_back(self, step: Step, iterations: int) -> BackToBack:
        step()
        self.steps += iterations
        each_s = next(self._durations_s)
        device_s = GAP_S + iterations * each_s
        return BackToBack(
            iterations=iterations,
            enqueue_s=0.0,
            host_s=device_s,
            device_s=device_s,
            busy_s=each_s if self._knows_busy else None,
        )


@pytest.fixture(autouse=True)
def _small_copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ceiling, "COPIED_BYTES", 2 * MIB)
    monkeypatch.setattr(ceiling, "COPIED_BYTES_PER_THREAD", 0)
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


def test_rates_are_macs_and_bytes_per_second_of_a_repetition() -> None:
    facts = ceiling.measure(DTYPES["fp32"], CPU, sizes=TINY, timer=FakeClock(repeat(DURATION_S)))
    convolution = 2 * 5**2 * 3**2 * 3**2 / DURATION_S
    assert {(p.kind, p.size): p.mac_per_s for p in facts.probes} == {
        ("product", "4×4×4"): 4**3 / DURATION_S,
        ("product", "8×8×8"): 8**3 / DURATION_S,
        ("convolution", "3×3, 2×3×5×5"): convolution,
        ("channels_last_convolution", "3×3, 2×3×5×5"): convolution,
    }
    assert facts.bytes_per_s == (2 + 2) * MIB / DURATION_S  # read and written
    assert facts.copied_bytes == 2 * MIB
    assert facts.bytes_per_element == 4
    assert facts.threads == torch.get_num_threads()
    assert facts.failed == ()


def test_every_probe_is_repeated_after_a_warm_up() -> None:
    timer = FakeClock(repeat(DURATION_S))
    ceiling.measure(DTYPES["bf16"], CPU, sizes=TINY, timer=timer)
    probes = len(list(ceiling.probes(TINY))) + 1  # plus the copy
    assert timer.steps == probes * (1 + MIN_REPETITIONS)


@pytest.mark.parametrize(
    ("durations_s", "best_s", "steps"),
    [
        ([0.001, 4.0, 2.0, 3.0], 2.0, 4),  # the first is warm-up and does not count
        ([9.0, MIN_PROBE_S / 4, *([MIN_PROBE_S / 8] * 6)], MIN_PROBE_S / 8, 8),
    ],
)
def test_the_fastest_repetition_counts(durations_s: list[float], best_s: float, steps: int) -> None:
    timer = FakeClock(durations_s)
    assert ceiling.best_s(lambda: None, timer) == best_s
    assert timer.steps == steps == len(durations_s)


@pytest.mark.parametrize(("knows_busy", "gap_s"), [(True, 0.0), (False, GAP_S / BLOCK_ITERATIONS)])
def test_probe_times_exclude_most_of_the_wait_for_launches(knows_busy: bool, gap_s: float) -> None:
    timer = FakeCudaClock([1.0, 4.0, 2.0, 3.0], knows_busy=knows_busy)
    assert ceiling.best_s(lambda: None, timer) == 2.0 + gap_s
    assert timer.steps == 1 + MIN_REPETITIONS * BLOCK_ITERATIONS


@pytest.mark.parametrize(("free_bytes", "copied_bytes"), [(16 * GIB, 2 * GIB), (15 * GIB, 4 * MIB)])
def test_a_gpu_copies_more_if_it_has_free_memory(
    free_bytes: int, copied_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free_bytes, 80 * GIB))
    assert ceiling._copied_bytes(torch.device("cuda")) == copied_bytes


@pytest.mark.parametrize("probe", [*ceiling.probes(TINY)], ids=lambda probe: probe.kind)
def test_pytorch_counts_two_flops_per_mac(probe: ceiling.Probe) -> None:
    step = probe.make(torch.float32, CPU)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        step()
    assert counter.get_total_flops() == 2 * probe.macs


def test_convolutions_run_in_both_memory_formats() -> None:
    formats = {
        "convolution": torch.contiguous_format,
        "channels_last_convolution": torch.channels_last,
    }
    for probe in ceiling.probes(replace(TINY, products=())):
        out = probe.make(torch.float32, CPU)()
        assert isinstance(out, Tensor)
        assert out.is_contiguous(memory_format=formats.pop(probe.kind))
    assert not formats


def test_a_dtype_without_kernels_gives_a_reason() -> None:
    booleans = replace(DTYPES["fp32"], name="bool", torch_name="bool")
    facts = ceiling.measure(booleans, CPU, sizes=TINY, timer=FakeClock(repeat(DURATION_S)))
    assert facts == Ceiling(error=facts.error)
    assert facts.error is not None
    assert "Bool" in facts.error
    assert "\n" not in facts.error


def test_a_failed_probe_does_not_affect_the_others() -> None:
    too_large = Sizes(products=(4,), convolutions=(replace(SMALL, side=10**7),))
    facts = ceiling.measure(
        DTYPES["fp32"], CPU, sizes=too_large, timer=FakeClock(repeat(DURATION_S))
    )
    assert [probe.kind for probe in facts.probes] == ["product"]
    assert [(probe.kind, "allocate" in probe.reason) for probe in facts.failed] == [
        ("convolution", True),
        ("channels_last_convolution", True),
    ]


def test_the_setting_of_cudnn_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn, settings = torch.backends.cudnn, []

    def best_s(*_: object) -> float:
        settings.append(cudnn.benchmark)
        return 1.0

    monkeypatch.setattr(ceiling, "best_s", best_s)
    before = cudnn.benchmark
    ceiling.measure(DTYPES["fp32"], CPU, sizes=TINY)
    assert set(settings) == {True}
    assert cudnn.benchmark is before


@pytest.mark.parametrize("kind", ceiling.SIZES)
def test_probes_are_large_for_every_kind_of_device(kind: str) -> None:
    kinds = [probe.kind for probe in ceiling.probes(ceiling.SIZES[kind])]
    assert set(kinds) == {"product", "convolution", "channels_last_convolution"}
    assert all(probe.macs >= 512**3 for probe in ceiling.probes(ceiling.SIZES[kind]))


@pytest.mark.gpu
@pytest.mark.parametrize("name", DTYPES)
def test_ceiling_of_a_gpu(name: str) -> None:
    facts = ceiling.measure(DTYPES[name], torch.device("cuda"))
    assert len(facts.probes) == len(list(ceiling.probes(ceiling.SIZES["cuda"])))
    assert all(probe.mac_per_s > 0 for probe in facts.probes)
    assert (facts.bytes_per_s or 0) > 0
