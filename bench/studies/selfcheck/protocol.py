"""Requests and replies of a worker that examines its own clock. Needs no torch."""

from bench.worker.protocol import Reply, Request


class TimerSeconds(Reply, frozen=True, kw_only=True):
    """Median seconds of an iteration, one of each per pair of blocks."""

    clock_s: tuple[float, ...]
    """By the suite's clock."""
    timer_s: tuple[float, ...]
    """By PyTorch's Timer."""


class SpanSeconds(Reply, frozen=True, kw_only=True):
    """Median device spans in seconds, one of each per pair of blocks, and the host latency."""

    span_s: tuple[float, ...]
    """By the suite's clock."""
    do_bench_s: tuple[float, ...]
    """By Triton's ``do_bench``."""
    latency_s: float


class EmptySeconds(Reply, frozen=True, kw_only=True):
    """Median seconds of a step that does nothing, by the suite's clock."""

    host_s: float
    device_s: float


class CompareWithTimer(Request[TimerSeconds], frozen=True, kw_only=True, tag="compare_with_timer"):
    """Compare the suite's clock with PyTorch's Timer, in pairs of blocks."""

    pairs: int
    block_s: float


class CompareWithDoBench(
    Request[SpanSeconds], frozen=True, kw_only=True, tag="compare_with_do_bench"
):
    """Compare the suite's clock with Triton's ``do_bench``, in pairs of blocks."""

    pairs: int
    block_s: float


class TimeNothing(Request[EmptySeconds], frozen=True, kw_only=True, tag="empty_step"):
    """Time a step that does nothing."""
