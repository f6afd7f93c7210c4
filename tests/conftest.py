"""Hooks for all tests: handling of SIGINT, and skipping of tests that need a GPU."""

import signal
from collections.abc import Sequence

import pytest


def pytest_configure() -> None:
    """Restore the default handling of SIGINT, which child processes inherit.

    A shell without job control starts background processes with SIGINT ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip tests that need a GPU if there is none; torch is imported only if such tests exist."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
