"""Facts that workers report about a cell, an arch and a device, as a run stores them.

Every field may be missing: files of earlier versions have fewer, and a worker that failed reported
only a part. Unknown fields are ignored.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one kind of operator, as the profiler of its library reports them."""

    kind: str
    """The library's own name, such as ``aten::mkldnn_convolution`` or ``Conv``."""
    calls: float
    """Calls per iteration."""
    time_s: float
    """Time per iteration in seconds, without that of operators that it calls."""


class OperatorProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The time by operator of a cell, or why it is unknown (bench/worker/profiling.py)."""

    profiler: str | None = None
    """What measured it, such as ``torch.profiler``."""
    iteration_s: float | None = None
    """Wall time of an iteration under the profiler, in seconds; the profiler itself takes a part
    of it."""
    operators: tuple[Operator, ...] = ()
    """The slowest first; if there are many kinds, the last entry is the sum of the rest."""
    error: str | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts from preparing, warming up and finishing the worker of one set; sizes are in bytes."""

    device: str | None = None
    build_s: float | None = None
    first_call_s: float | None = None
    compile_cached: bool | None = None
    graphs: int | None = None
    graph_breaks: int | None = None
    cudagraph_skips: int | None = None
    batches: int | None = None
    weights_bytes: int | None = None
    image_size: int | None = None
    input_shapes: tuple[str, ...] = ()
    output_error: float | None = None
    error_bound: float | None = None
    gradient_error: float | None = None
    tf32_convolutions: bool | None = None
    tf32_products: bool | None = None
    executor_settings: Mapping[str, str] = {}
    resident_before_bytes: int | None = None
    host_bytes: int | None = None
    device_bytes: int | None = None
    device_reserved_bytes: int | None = None
    device_free_bytes: int | None = None
    warm_up_iterations: int | None = None
    warm_up_s: float | None = None
    peak_resident_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    peak_memory_bytes: int | None = None
    memory_is_reserved: bool = False
    recompiled_in_warm_up: int | None = None
    recompiled_graphs: int | None = None
    late_graph_breaks: int | None = None
    late_wrong_answer: str | None = None
    energy_j: float | None = None
    energy_images: int | None = None
    energy_wall_s: float | None = None
    energy_set: int | None = None
    energy_voided: tuple[str, ...] = ()
    operators: OperatorProfile | None = None

    def merged(self, other: "Setup") -> "Setup":
        """Return these facts with those that ``other`` has in addition."""
        changes = {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(other, name)) != getattr(_EMPTY, name)
        }
        return msgspec.structs.replace(self, **changes)

    @classmethod
    def from_reply(cls, reply: msgspec.Struct, **more: Any) -> "Setup":
        """Return the facts in a worker's reply (bench/worker/protocol.py), and ``more`` of them."""
        return msgspec.convert({**msgspec.to_builtins(reply), **more}, cls)


_EMPTY = Setup()


class ArchCost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cost of an arch for one image, or why it is unknown (bench/worker/cost.py)."""

    params: int | None = None
    params_with_aux: int | None = None
    macs_per_image: int | None = None
    fvcore_total_per_image: int | None = None
    activations_per_image: int | None = None
    macs_on_other_images: int | None = None
    macs_in_the_next_call: int | None = None
    uncounted: Mapping[str, int] = {}
    fvcore_remark: str | None = None
    fvcore_disagreements: tuple[str, ...] = ()
    counter: str | None = None
    accuracy: float | None = None
    """Published top-1 accuracy in percent, for trained weights and images of this size."""
    accuracy_source: str | None = None
    error: str | None = None


class ProbeRate(msgspec.Struct, frozen=True, kw_only=True):
    """The best rate of one probe, in multiply-accumulates per second."""

    kind: str
    size: str
    mac_per_s: float


class FailedProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A probe that the device could not run."""

    kind: str
    size: str
    reason: str


class Ceiling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The highest measured rates of a device in a dtype, or why they are unknown.

    bench/worker/ceiling.py measures them.
    """

    probes: tuple[ProbeRate, ...] = ()
    failed: tuple[FailedProbe, ...] = ()
    bytes_per_s: float | None = None
    copied_bytes: int | None = None
    bytes_per_element: int | None = None
    threads: int | None = None
    error: str | None = None
