import pytest
import torch

from bench.archs.source import Inputs
from bench.cells import inputs
from bench.executors import cudagraphs
from bench.executors.cudagraphs import CapturedProgram
from bench.units import MIB
from tests.bench import tiny

IMAGE_SIZE = 16


def images(batch_size: int = 2, size: int = IMAGE_SIZE) -> Inputs:
    return (inputs.random_images(batch_size, size),)


def test_is_like_compares_shape_and_dtype() -> None:
    first = images()
    assert cudagraphs.is_like(images(), first)
    assert not cudagraphs.is_like(images(3), first)
    assert not cudagraphs.is_like(images(size=17), first)
    assert not cudagraphs.is_like(inputs.cast(images(), torch.bfloat16), first)


def test_capture_on_a_cpu_raises_value_error() -> None:
    with pytest.raises(ValueError, match="takes inputs on a CUDA device, not on cpu"):
        CapturedProgram(tiny.net()).run(images())


@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_replay_returns_the_output_of_eager_for_any_images(
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    model = tiny.net().eval().cuda().to(memory_format=memory_format)
    replayed = CapturedProgram(model)
    with torch.inference_mode():
        for _ in range(4):
            batch = images()[0].cuda().contiguous(memory_format=memory_format)
            expected = model(batch)
            assert torch.allclose(replayed.run((batch,)), expected, rtol=1e-4, atol=1e-5)
    with torch.inference_mode(), pytest.raises(ValueError, match="captured as a CUDA graph for"):
        replayed.run((images(3)[0].cuda(),))


@pytest.mark.gpu
def test_only_the_graph_keeps_cublas_workspaces() -> None:
    model, (batch,) = tiny.net().eval().cuda(), inputs.to(images(), torch.device("cuda"))
    cudagraphs.forget_workspaces()
    before_bytes = torch.cuda.memory_allocated()
    replayed = CapturedProgram(model)
    with torch.inference_mode():
        model(batch)
        replayed.run((batch,))
    # Each stream has a workspace of at least 4 MiB: this stream, that of the warm-up, the graph's.
    assert torch.cuda.memory_allocated() - before_bytes < MIB
