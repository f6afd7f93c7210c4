"""CUDA graphs: what was run when one was captured is run again, into the same tensors."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tests.bench.rehearsal.timeline import Timeline


def play(torch: Any, timeline: Timeline) -> None:
    """Have this PyTorch capture and replay."""
    recorder = _recorder(torch)
    _streams(torch)

    class CUDAGraph:
        def __init__(self) -> None:
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def replay(self) -> None:
            for operator, given, named, found in self.calls:
                again = operator(*given, **named)
                if isinstance(found, torch.Tensor) and again.data_ptr() != found.data_ptr():
                    found.copy_(again)

    @contextmanager
    def graph(found: CUDAGraph, **_: Any) -> Iterator[None]:
        timeline.captures = True
        try:
            with recorder() as recorded:
                yield
        finally:
            timeline.captures = False
        found.calls = recorded.calls
        recorded.leave_nothing()

    torch.cuda.CUDAGraph, torch.cuda.graph = CUDAGraph, graph
    torch.cuda.is_current_stream_capturing = lambda: timeline.captures
    torch._C._cuda_clearCublasWorkspaces = lambda: None  # a build for CPUs has none


def _recorder(torch: Any) -> Any:
    """What notes the operators that are called while it is entered."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def __torch_dispatch__(
            self, operator: Any, types: Any, given: Any = (), named: Any = None
        ) -> Any:
            if operator is torch.ops.aten._local_scalar_dense.default:  # as item() is
                raise RuntimeError("operation not permitted when stream is capturing")
            found = operator(*given, **(named or {}))
            self.calls.append((operator, given, named or {}, found))
            return found

        def leave_nothing(self) -> None:
            """What was computed meanwhile never was: only a replay writes a result."""
            for operator, _, _, found in self.calls:
                is_new = all(one.alias_info is None for one in operator._schema.returns)
                if is_new and isinstance(found, torch.Tensor) and found.is_floating_point():
                    found.fill_(float("nan"))

    return Recorder


def _streams(torch: Any) -> None:
    class Stream:
        def __init__(self, *_: Any, **__: Any) -> None:
            """All are one."""

        def wait_stream(self, other: "Stream") -> None:
            """All are one."""

        def query(self) -> bool:
            return True

    here = Stream()
    torch.cuda.Stream = Stream
    torch.cuda.current_stream, torch.cuda.stream = (
        lambda device=None: here,
        lambda stream: nullcontext(),
    )
