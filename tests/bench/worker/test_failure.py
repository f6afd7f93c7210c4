import pytest
import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.worker import failure
from bench.worker.correctness import WrongAnswerError

PETABYTE = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 1125899906842624 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (RuntimeError("no kernel\nat x.cpp"), "error", "RuntimeError: no kernel"),
        (AssertionError(), "error", "AssertionError"),
        (RequestError("it is not there\nat all"), "request", "it is not there"),
        (WrongAnswerError("it is far away"), "wrong_answer", "it is far away"),
        (MemoryError(), "out_of_memory", "MemoryError"),
        (torch.OutOfMemoryError("it is full"), "out_of_memory", "OutOfMemoryError: it is full"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB."),
            "out_of_memory",
            "out of memory: tried to allocate 2 MiB",
        ),
    ],
)
def test_failures_have_a_kind_and_a_sentence(error: Exception, kind: str, sentence: str) -> None:
    assert (failure.kind_of(error), failure.sentence(error)) == (kind, sentence)


def error_of(network: nn.Module, inputs: Tensor) -> Exception:
    with pytest.raises(RuntimeError) as raised:
        network(inputs)
    return raised.value


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)),
        nn.Sequential(nn.MaxPool2d(2, 16), nn.MaxPool2d(2), nn.MaxPool2d(2)),
        nn.Conv2d(3, 8, 31),
        torch.compile(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)), backend="eager"),
    ],
)
def test_images_of_another_size_are_hinted_at(network: nn.Module) -> None:
    sentence = failure.sentence(error_of(network, torch.zeros(1, 3, 24, 24)))
    assert sentence.endswith(
        "; if the network is made for images of another size, select it with --image-size or "
        "NAME@PIXELS, or give its factory image_size"
    )


def test_other_inputs_than_images_are_hinted_at() -> None:
    sentence = failure.sentence(error_of(nn.Conv2d(1, 8, 3), torch.zeros(1, 3, 24, 24)))
    assert sentence.endswith(
        "; networks get images with 3 channels: for others select their shape, as in "
        "NAME@1x28x28 or --input-shape, and for other inputs give the factory example_inputs "
        "(docs/networks.md)"
    )


def test_wrong_channels_inside_a_network_are_not_blamed_on_its_inputs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3))
    assert failure.hint(error_of(network, torch.zeros(1, 3, 24, 24))) == ""


@pytest.mark.parametrize("exception_type", [RuntimeError, RequestError])
def test_out_of_memory_is_recognised_for_any_exception_type(
    exception_type: type[Exception],
) -> None:
    error = exception_type(f"x:net() raised RuntimeError: {PETABYTE}")
    assert failure.kind_of(error) == "out_of_memory"
    sentence = failure.sentence(error)
    assert sentence.startswith("out of memory: tried to allocate 1,073,741,824 MiB; ")
    assert " MiB were free (" in sentence


def test_out_of_memory_in_a_library_is_reported_with_the_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2**20, 2**30))
    assert failure.sentence(error).endswith("ALLOC_FAILED; 1 MiB were free (1,024 MiB in total)")


def test_the_library_message_is_used_if_the_device_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("torch.cuda.mem_get_info", fail)
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
    assert failure.kind_of(error) == "out_of_memory"
    assert failure.sentence(error) == "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED"
