"""Types of a worker's replies, for both sides of the protocol. Needs no torch.

Those to ``cost`` and ``ceiling`` are in bench/records/reported.py.

Requests are JSON objects with the name of an operation and its arguments (bench/worker/worker.py).
"""

from collections.abc import Mapping

import msgspec

from bench.records.record import BackToBack


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to one operation."""


class Attempted(Reply, frozen=True, kw_only=True):
    """A cell was iterated without checks."""

    held_bytes: int
    """Peak memory of the device, or on a CPU of the process."""


class Prepared(Reply, frozen=True, kw_only=True):
    """A cell was built, run and checked."""

    build_s: float
    first_call_s: float
    """Wall time of the first call and its check, in seconds; includes compilation."""
    compile_cached: bool | None
    """Whether all code came from a cache on disk; None if nothing was compiled."""
    graphs: int
    graph_breaks: int
    cudagraph_skips: int
    """Number of graphs that should be replayed as CUDA graphs but that Inductor skipped."""
    batches: int
    """Number of batches that iterations use in turn."""
    weights_bytes: int
    """Size of parameters and buffers in the cell's dtype."""
    output_error: float
    """Distance to fp32 eager's output for the same weights and images (answers.py)."""
    error_bound: float
    gradient_error: float | None
    """Distance to fp32 eager's gradients; None for inference."""
    tf32_convolutions: bool
    tf32_products: bool
    """TF32 settings while the cell ran, for convolutions and for matrix products."""
    executor_settings: Mapping[str, str]
    """Versions and settings of the executor, as its library reports them."""
    resident_before_bytes: int
    """Resident set before the network was built: the interpreter and its libraries."""
    host_bytes: int
    """Host memory that only this process needs."""
    device_bytes: int | None
    """Peak of the memory that the allocator reserved on the device; None on a CPU."""
    device_reserved_bytes: int | None
    device_free_bytes: int | None
    """What is free on the device after the preparation; None on a CPU."""


class WarmedUp(Reply, frozen=True, kw_only=True):
    """A cell was iterated until its latency was steady."""

    durations_s: tuple[float, ...]


class Measured(Reply, frozen=True, kw_only=True):
    """A visit: seconds of each iteration; the dropped and the disturbed ones do not count."""

    dropped_s: tuple[float, ...]
    host_s: tuple[float, ...]
    device_s: tuple[float, ...]
    disturbed_s: tuple[float, ...] | None
    back_to_back: BackToBack | None


class Sustained(Reply, frozen=True, kw_only=True):
    """A cell was iterated without waits."""

    iterations: int
    wall_s: float


class Finished(Reply, frozen=True, kw_only=True):
    """Results for a worker's lifetime, except its latencies."""

    peak_resident_bytes: int
    peak_allocated_bytes: int | None
    peak_reserved_bytes: int | None
    peak_memory_bytes: int | None
    """Peak memory of the network; None if the system cannot reset the peak of a resident set."""
    memory_is_reserved: bool
    """Whether that is what the allocator reserved, because CUDA graphs keep their memory."""
    recompiled_in_warm_up: int
    recompiled_graphs: int
    """Graphs that were compiled after the warm-up."""
    late_graph_breaks: int
    late_wrong_answer: str | None
    """Why the answer was wrong after the rounds; None if it was right."""
