"""The requests to a worker and its replies, for both sides of the protocol. Needs no torch.

A request is a JSON object with the name of its operation, ``{"op": "warm_up"}``, and its arguments.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from bench.archs.source import Shape
from bench.cells.cell import Cell
from bench.machine.environment import Environment
from bench.records.record import BackToBack
from bench.records.reported import ArchCost, Ceiling, OperatorProfile

ReplyT = TypeVar("ReplyT")


class Request(
    msgspec.Struct,
    Generic[ReplyT],
    frozen=True,
    kw_only=True,
    tag_field="op",
    forbid_unknown_fields=True,
):
    """A request to a worker. Subclasses name the type of its reply: ``Request[Prepared]``."""

    reply: ClassVar[Any]
    """The type of the reply."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        (cls.reply,) = get_args(cls.__orig_bases__[0])  # type: ignore[attr-defined]


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
    """Distance to fp32 eager's output for the same weights and images (correctness.py)."""
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
    image_size: int | None = None
    """Height and width of the images in pixels; None for other inputs."""
    input_shapes: tuple[str, ...] = ()
    """Shape of each input without the batch; empty for images."""


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


class Describe(Request[Environment], frozen=True, kw_only=True, tag="describe"):
    """Describe the environment of the worker (bench/machine/description.py)."""

    device: str
    libraries: tuple[str, ...] = ()
    """Libraries whose versions are wanted besides torch and torchvision."""


class CountCost(Request[ArchCost], frozen=True, kw_only=True, tag="cost"):
    """Count the cost of an arch for the first image that ``seed`` draws after the weights."""

    arch: str
    image_size: int | None
    """Height and width of the image in pixels; None for what the network is made for."""
    input_shape: Shape | None = None
    """Channels, height and width of the image of a network that does not say what it takes."""
    seed: int


class MeasureCeiling(Request[Ceiling], frozen=True, kw_only=True, tag="ceiling"):
    """Measure the device's peak rates in a dtype."""

    dtype: str
    device: str


class TryBatch(Request[Attempted], frozen=True, kw_only=True, tag="attempt"):
    """Iterate a cell without checks."""

    cell: Cell
    image_size: int | None
    input_shape: Shape | None = None
    seed: int


class Prepare(Request[Prepared], frozen=True, kw_only=True, tag="prepare"):
    """Build a cell, run it and check its answer."""

    cell: Cell
    image_size: int | None
    input_shape: Shape | None = None
    seed: int
    threads: int | None = None
    """Threads for the preparation; by default, those of iterations."""
    l2: str = "warm"
    """State of a GPU's L2 cache before each iteration (bench/cells/inputs.py)."""
    is_cached: bool = False
    """Whether the cell's code has been compiled before."""
    is_profiled: bool = False
    """Whether ``ProfileOperators`` will follow."""


class WarmUp(Request[WarmedUp], frozen=True, kw_only=True, tag="warm_up"):
    """Iterate until the latency is steady. The memory peaks are reset first."""


class Measure(Request[Measured], frozen=True, kw_only=True, tag="measure"):
    """Time ``iterations`` one by one, and then ``back_to_back`` with no wait between them.

    The ``dropped`` iterations come first and are never repeated. A disturbed one among the others
    is repeated. Back-to-back timing is for devices whose calls return before their work is done.
    """

    iterations: int
    dropped: int = 0
    back_to_back: int = 0


class Sustain(Request[Sustained], frozen=True, kw_only=True, tag="sustain"):
    """Iterate for ``seconds``, with no wait between iterations."""

    seconds: float


class ProfileOperators(Request[OperatorProfile], frozen=True, kw_only=True, tag="operators"):
    """Profile some iterations; the last request to a worker, because it uses memory and time."""


class Finish(Request[Finished], frozen=True, kw_only=True, tag="finish"):
    """Report results for the worker's lifetime: memory, recompilations, a late wrong answer."""
