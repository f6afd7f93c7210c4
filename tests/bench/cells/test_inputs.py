from statistics import median

import pytest
import torch
from torch import Tensor

from bench.cells import inputs
from bench.units import MIB
from bench.worker.clock import stall_cycles

IMAGE_SIZE = 16


def images(seed: int, batch_size: int = 2, size: int = IMAGE_SIZE) -> Tensor:
    torch.manual_seed(seed)
    return inputs.random_images(batch_size, size)


@pytest.mark.parametrize(("batch_size", "size"), [(1, 8), (3, 16), (2, 33)])
def test_images_have_the_requested_shape(batch_size: int, size: int) -> None:
    batch = images(0, batch_size, size)
    assert batch.shape == (batch_size, 3, size, size)
    assert batch.is_contiguous()
    assert batch.isfinite().all()


def test_images_depend_only_on_the_seed() -> None:
    assert torch.equal(images(1), images(1))
    assert not torch.equal(images(1), images(2))


def test_images_of_a_batch_differ_in_brightness() -> None:
    means = images(0, 8, 64).mean(dim=(2, 3))
    assert means.std(dim=0).min() > 0.1


# GoogLeNet at batch 1 and batch 128, in fp32, on a GPU with 50 MiB of L2.
@pytest.mark.parametrize(
    ("batch_bytes", "cache_bytes", "expected"),
    [
        (3 * 224 * 224 * 4, 50 * MIB, 88),
        (128 * 3 * 224 * 224 * 4, 50 * MIB, 1),
        (MIB, 4 * MIB, 5),
        (MIB, 4 * MIB - 1, 4),
    ],
)
def test_batches_for_is_the_smallest_number_above_the_cache_size(
    batch_bytes: int, cache_bytes: int, expected: int
) -> None:
    count = inputs.batches_for(batch_bytes, cache_bytes)
    assert count == expected
    assert (count - 1) * batch_bytes <= cache_bytes < count * batch_bytes


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_similar_batches_have_the_same_layout_and_new_images(
    memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    first = inputs.Batch(
        (images(0).to(dtype, memory_format=memory_format),), targets=torch.tensor([7, 5])
    )
    size = first.inputs[0].shape[-1]
    more = list(inputs.similar_batches(first, lambda n: (inputs.random_images(n, size),), 3))
    assert len(more) == 3
    for batch in more:
        assert batch.inputs[0].dtype is dtype
        assert batch.inputs[0].stride() == first.inputs[0].stride()
        assert batch.inputs[0].shape == first.inputs[0].shape
        assert torch.equal(batch.targets, first.targets)
        assert batch.targets.data_ptr() != first.targets.data_ptr()
    together = [first, *more]
    assert len({tuple(batch.inputs[0].flatten().tolist()) for batch in together}) == len(together)
    assert all(batch.inputs[0].float().std() > 0.1 for batch in together)  # no batch of zeros


def test_flush_writes_twice_the_size_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, torch.dtype]] = []

    def zero(tensor: Tensor) -> Tensor:
        written.append((tensor.numel(), tensor.dtype))
        return tensor

    flush = inputs.Flush(1000, torch.device("cpu"))
    monkeypatch.setattr(Tensor, "zero_", zero)
    flush()
    flush()
    assert written == [(2000, torch.uint8)] * 2


@pytest.mark.gpu
def test_flush_empties_the_cache() -> None:
    """Reading a quarter of the cache again takes longer if it was emptied before."""
    device = torch.device("cuda")
    cache_bytes = inputs.l2_bytes(device)
    read = torch.ones(cache_bytes // 16, device=device)  # four bytes each
    flush = inputs.Flush(cache_bytes, device)
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def read_ms(*, emptied: bool) -> float:
        times_ms: list[float] = []
        for _ in range(30):
            read.sum()
            if emptied:
                flush()
            torch.cuda.synchronize(device)
            torch.cuda._sleep(stall_cycles(0.0))  # all is launched meanwhile, so no gap is timed
            before.record()
            read.sum()
            after.record()
            torch.cuda.synchronize(device)
            times_ms.append(before.elapsed_time(after))
        return median(times_ms)

    assert read_ms(emptied=True) > read_ms(emptied=False)
