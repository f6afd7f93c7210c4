import pytest
import torch
from torch.cuda._utils import _get_device_index

from bench import environment
from bench.worker import Worker


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_device_is_chosen_by_its_index_and_cudnn_pinned(
    monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    chosen: list[int] = []
    # What torch.cuda.set_device makes of its argument, without a device to set.
    monkeypatch.setattr("torch.cuda.set_device", lambda d: chosen.append(_get_device_index(d)))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not environment.CUDNN_BENCHMARK)
    Worker()._use(device)
    assert chosen == [index]
    assert torch.backends.cudnn.benchmark is environment.CUDNN_BENCHMARK
