import pytest

from bench.worker import out_of_memory

# Messages of torch 2.11 to 2.15; the last was raised on a machine without a GPU.
CUDA = (
    "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 14.50 GiB of "
    "which 512.00 MiB is free. Process 2493055 has 12.02 GiB memory in use. Including non-PyTorch "
    "memory, this process has 966.00 MiB memory in use. Of the allocated memory 734.07 MiB is "
    "allocated by PyTorch, and 33.93 MiB is reserved by PyTorch but unallocated."
)
FULL = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 1 has a total capacity of 79.25 GiB of "
    "which 0 bytes is free. Of the allocated memory 77.59 GiB is allocated by PyTorch"
)
FRACTION = (
    "CUDA out of memory. Allocation was preemptively rejected because it would exceed "
    "per_process_memory_fraction limit. Requested size: 2.00 GiB"
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 1125899906842624 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            CUDA,
            "out of memory: tried to allocate 1,536 MiB; 512 MiB were free (14,848 MiB in total); "
            "this worker used 966 MiB",
        ),
        (FULL, "out of memory: tried to allocate 20 MiB; 0 MiB were free (81,152 MiB in total)"),
        (FRACTION, "out of memory: tried to allocate 2,048 MiB"),
        (CPU, "out of memory: tried to allocate 1,073,741,824 MiB"),
    ],
)
def test_sizes_are_reported_in_mib(message: str, expected: str) -> None:
    assert out_of_memory.matches(message)
    assert out_of_memory.sentence(message) == expected


def test_sizes_missing_from_the_message_come_from_the_arguments() -> None:
    sentence = out_of_memory.sentence(CPU, free_bytes=3 * 2**30, total_bytes=4 * 2**30)
    assert sentence is not None
    assert sentence.endswith("3,072 MiB were free (4,096 MiB in total)")
    cuda = out_of_memory.sentence(FULL, free_bytes=2**40, total_bytes=2**40)
    assert cuda == out_of_memory.sentence(FULL)  # sizes in the message take precedence


@pytest.mark.parametrize(
    "message",
    ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"],
)
def test_messages_without_sizes_are_recognised(message: str) -> None:
    assert out_of_memory.matches(message)
    assert out_of_memory.sentence(message) is None


@pytest.mark.parametrize(
    "message", ["mat1 and mat2 shapes cannot be multiplied", "out of resource: shared memory", ""]
)
def test_other_errors_are_not_recognised(message: str) -> None:
    assert not out_of_memory.matches(message)


def test_messages_of_libraries_are_reported_with_the_free_memory() -> None:
    sentence = out_of_memory.library_sentence(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED\nat x.cpp", 3 * 2**20, 2**30
    )
    assert sentence == (
        "out of memory: CUDA error: CUBLAS_STATUS_ALLOC_FAILED; 3 MiB were free "
        "(1,024 MiB in total)"
    )
