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
def test_images_have_the_shape_asked_for(batch_size: int, size: int) -> None:
    found = images(0, batch_size, size)
    assert found.shape == (batch_size, 3, size, size)
    assert found.is_contiguous()
    assert found.isfinite().all()


def test_images_are_the_seeds() -> None:
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
def test_batches_together_are_just_more_than_the_cache(
    batch_bytes: int, cache_bytes: int, expected: int
) -> None:
    found = inputs.batches_for(batch_bytes, cache_bytes)
    assert found == expected
    assert (found - 1) * batch_bytes <= cache_bytes < found * batch_bytes


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_more_batches_are_like_the_first_and_others(
    memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    first = inputs.Batch(
        images(0).to(dtype, memory_format=memory_format), targets=torch.tensor([7, 5])
    )
    more = list(inputs.like(first, 3))
    assert len(more) == 3
    for batch in more:
        assert batch.images.dtype is dtype
        assert batch.images.stride() == first.images.stride()
        assert batch.images.shape == first.images.shape
        assert torch.equal(batch.targets, first.targets)
        assert batch.targets.data_ptr() != first.targets.data_ptr()
    together = [first, *more]
    assert len({tuple(batch.images.flatten().tolist()) for batch in together}) == len(together)
    assert all(batch.images.float().std() > 0.1 for batch in together)  # none is of zeros


@pytest.mark.gpu
def test_a_flush_takes_what_was_in_the_cache_out_of_it() -> None:
    """Reading a quarter of the cache again takes longer once it was emptied."""
    device = torch.device("cuda")
    cache_bytes = inputs.l2_bytes(device)
    read = torch.ones(cache_bytes // 16, device=device)  # of four bytes
    flush = inputs.Flush(cache_bytes, device)
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def read_ms(*, emptied: bool) -> float:
        found: list[float] = []
        for _ in range(30):
            read.sum()
            if emptied:
                flush()
            torch.cuda.synchronize(device)
            torch.cuda._sleep(stall_cycles(0.0))  # meanwhile all is launched: no gap is in the time
            before.record()
            read.sum()
            after.record()
            torch.cuda.synchronize(device)
            found.append(before.elapsed_time(after))
        return median(found)

    assert read_ms(emptied=True) > read_ms(emptied=False)
