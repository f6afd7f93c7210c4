"""The lifeline: a process that ends with the one that started it, whatever it is doing."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # man 2 prctl


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, where it can be asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
