"""A competing process, to study the gate on a machine that other programs use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 2
_WORK = f"""\
import torch
torch.set_num_threads({THREADS})
factor = torch.randn(512, 512)
while True:
    torch.mm(factor, factor)
"""


@contextmanager
def competitor() -> Iterator[None]:
    """Run a process that multiplies matrices on two threads until the block ends."""
    process = subprocess.Popen([sys.executable, "-c", _WORK])
    try:
        yield
    finally:
        process.kill()
        process.wait()
