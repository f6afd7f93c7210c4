import pytest
import torch
from torch import Tensor

from bench.cells import captured, inputs
from bench.cells.captured import Captured
from bench.units import MIB
from tests.bench import tiny

IMAGE_SIZE = 16


def images(batch_size: int = 2, size: int = IMAGE_SIZE) -> Tensor:
    return inputs.random_images(batch_size, size)


def test_a_graph_is_fed_only_what_it_was_captured_with() -> None:
    first = images()
    assert captured.is_like(images(), first)
    assert not captured.is_like(images(3), first)
    assert not captured.is_like(images(size=17), first)
    assert not captured.is_like(images().bfloat16(), first)


def test_a_cpu_is_told_that_it_has_no_graphs() -> None:
    with pytest.raises(ValueError, match="takes images on a CUDA device, not on cpu"):
        Captured(tiny.net())(images())


def test_it_converts_as_its_network_does() -> None:
    model = Captured(tiny.net()).eval().to(torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert not model.model.training


@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_replay_answers_as_eager_does_whatever_the_images(
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    model = tiny.net().eval().cuda().to(memory_format=memory_format)
    replayed = Captured(model)
    with torch.inference_mode():
        for _ in range(4):
            batch = images().cuda().contiguous(memory_format=memory_format)
            expected = model(batch)
            assert torch.allclose(replayed(batch), expected, rtol=1e-4, atol=1e-5)
    with torch.inference_mode(), pytest.raises(ValueError, match="captured as a CUDA graph for"):
        replayed(images(3).cuda())


@pytest.mark.gpu
def test_what_cublas_works_in_stays_with_the_graph_alone() -> None:
    model, batch = tiny.net().eval().cuda(), images().cuda()
    captured.forget_workspaces()
    before_bytes = torch.cuda.memory_allocated()
    replayed = Captured(model)
    with torch.inference_mode():
        model(batch)
        replayed(batch)
    # A workspace is 4 MiB at the least, and of a stream: this one's, that of warming up, a graph's.
    assert torch.cuda.memory_allocated() - before_bytes < MIB
