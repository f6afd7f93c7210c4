"""What all tests share: what they are started in, and which are skipped."""

import signal
from collections.abc import Sequence

import pytest


def pytest_configure() -> None:
    """Take Ctrl-C, and with us what we start.

    A shell without job control has what it starts in the background ignore it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip what needs a GPU, with the reason; torch is asked only where something does."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
