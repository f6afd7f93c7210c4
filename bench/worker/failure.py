"""A failure: what becomes of an exception, as its kind and in a line."""

import contextlib

import psutil
import torch

from bench.errors import first_line, in_a_line
from bench.machine.memory_budget import free_host_bytes
from bench.names import RequestError
from bench.worker import out_of_memory
from bench.worker.answers import WrongAnswerError


def kind_of(error: Exception) -> str:
    """What sort of failure an exception is, as the run file names it."""
    # First: a factory's shortage comes as a wrong request that tells of it.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or out_of_memory.is_one(str(error)):
        return "out_of_memory"
    if isinstance(error, RequestError):
        return "request"
    if isinstance(error, WrongAnswerError):
        return "wrong_answer"
    return "error"


def sentence(error: Exception) -> str:
    """An exception in a line: its type where that helps, and the first line of its message."""
    if kind_of(error) == "out_of_memory" and (told := _of_shortage(str(error))):
        return told
    if isinstance(error, RequestError | WrongAnswerError):
        return first_line(str(error))
    return in_a_line(error)


def _of_shortage(message: str) -> str | None:
    """A shortage's sizes; PyTorch's allocator on CUDA tells what was free, and no other does."""
    if "CUDA out of memory" in message:
        return out_of_memory.sentence(message)
    if any(name in message for name in ("CUDA", "CUBLAS", "CUDNN")):
        with contextlib.suppress(RuntimeError):  # a device that failed may answer nothing more
            return out_of_memory.beside(message, *torch.cuda.mem_get_info())
        return None
    total_bytes = psutil.virtual_memory().total
    return out_of_memory.sentence(message, free_bytes=free_host_bytes(), total_bytes=total_bytes)
