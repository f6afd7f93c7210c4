import pytest
import torch

from bench.names import RequestError
from bench.worker import failure
from bench.worker.answers import WrongAnswerError

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
            "out of memory: 2 MiB more were asked for",
        ),
    ],
)
def test_a_failure_has_a_kind_and_a_sentence(error: Exception, kind: str, sentence: str) -> None:
    assert (failure.kind_of(error), failure.sentence(error)) == (kind, sentence)


@pytest.mark.parametrize("of", [RuntimeError, RequestError])
def test_a_shortage_is_one_whatever_its_type(of: type[Exception]) -> None:
    error = of(f"x:net() raised RuntimeError: {PETABYTE}")
    assert failure.kind_of(error) == "out_of_memory"
    told = failure.sentence(error)
    assert told.startswith("out of memory: 1,073,741,824 MiB more were asked for, ")
    assert " MiB were free of " in told


def test_a_library_s_shortage_is_told_with_what_the_device_has_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2**20, 2**30))
    assert failure.sentence(error).endswith("ALLOC_FAILED; 1 MiB were free of 1,024 MiB")


def test_a_device_that_answers_nothing_more_leaves_the_library_s_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("torch.cuda.mem_get_info", fail)
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
    assert failure.kind_of(error) == "out_of_memory"
    assert failure.sentence(error) == "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED"
