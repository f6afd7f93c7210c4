"""Description of an exception in a worker: its kind, and a one-line sentence."""

import contextlib
import re

import psutil
import torch

from bench.error_text import first_line, one_line
from bench.errors import RequestError
from bench.machine.memory_budget import free_host_bytes
from bench.worker import out_of_memory
from bench.worker.correctness import WrongAnswerError

# PyTorch's messages if the input of a layer does not fit, which in a network for images is mostly
# because of their size or their channels. The last alternatives are those of torch.compile.
_OTHER_SIZE = re.compile(
    r"shapes cannot be multiplied"
    r"|Given input size: .*Output size is too small"
    r"|Kernel size can't be greater than actual input size"
    r"|must have same reduction dim"
)
_OTHER_CHANNELS = re.compile(r"to have \d+ channels, but got 3 channels")


def kind_of(error: Exception) -> str:
    """Return the kind of failure, as the run file names it."""
    # Checked first: if a factory runs out of memory, a RequestError quotes its message.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or out_of_memory.matches(str(error)):
        return "out_of_memory"
    if isinstance(error, RequestError):
        return "request"
    if isinstance(error, WrongAnswerError):
        return "wrong_answer"
    return "error"


def sentence(error: Exception) -> str:
    """Return an exception in one line: its type where that helps, and its message's first line."""
    if kind_of(error) == "out_of_memory" and (sizes := _out_of_memory(str(error))):
        return sizes
    if isinstance(error, RequestError | WrongAnswerError):
        return first_line(str(error))
    return one_line(error) + hint(error)


def hint(error: Exception) -> str:
    """Return what may help against an error of a network that gets inputs it is not made for.

    Empty if the message is none of those. The hint continues the error's sentence.
    """
    message = str(error)  # all lines: a compiler puts the error of an operator below its own
    if _OTHER_CHANNELS.search(message):
        return (
            "; networks get images with 3 channels: for others select their shape, as in "
            "NAME@1x28x28 or --input-shape, and for other inputs give the factory example_inputs "
            "(docs/networks.md)"
        )
    if _OTHER_SIZE.search(message):
        return (
            "; if the network is made for images of another size, select it with --image-size or "
            "NAME@PIXELS, or give its factory image_size"
        )
    return ""


def _out_of_memory(message: str) -> str | None:
    """Return an out-of-memory message with sizes; None if they are unknown.

    Only the message of PyTorch's CUDA allocator contains the free memory; for others, read it here.
    """
    if "CUDA out of memory" in message:
        return out_of_memory.sentence(message)
    if any(name in message for name in ("CUDA", "CUBLAS", "CUDNN")):
        with contextlib.suppress(RuntimeError):  # a failed device may not answer
            return out_of_memory.library_sentence(message, *torch.cuda.mem_get_info())
        return None
    total_bytes = psutil.virtual_memory().total
    return out_of_memory.sentence(message, free_bytes=free_host_bytes(), total_bytes=total_bytes)
