"""Simulated CUDA graphs: a replay runs the captured operators again, into the same tensors."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tests.bench.rehearsal.timeline import Timeline


def install(torch: Any, timeline: Timeline) -> None:
    """Replace the CUDA graphs and streams of this PyTorch."""
    recorder = _recorder(torch)
    _streams(torch)

    class CUDAGraph:
        def __init__(self) -> None:
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def replay(self) -> None:
            for operator, args, kwargs, result in self.calls:
                again = operator(*args, **kwargs)
                if isinstance(result, torch.Tensor) and again.data_ptr() != result.data_ptr():
                    result.copy_(again)

    @contextmanager
    def graph(cuda_graph: CUDAGraph, **_: Any) -> Iterator[None]:
        timeline.captures = True
        try:
            with recorder() as recorded:
                yield
        finally:
            timeline.captures = False
        cuda_graph.calls = recorded.calls
        recorded.discard_results()

    torch.cuda.CUDAGraph, torch.cuda.graph = CUDAGraph, graph
    torch.cuda.is_current_stream_capturing = lambda: timeline.captures
    torch._C._cuda_clearCublasWorkspaces = lambda: None  # missing in CPU builds


def _recorder(torch: Any) -> Any:
    """Return a dispatch mode that records the operators called while it is active."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def __torch_dispatch__(
            self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if operator is torch.ops.aten._local_scalar_dense.default:  # item()
                raise RuntimeError("operation not permitted when stream is capturing")
            result = operator(*args, **(kwargs or {}))
            self.calls.append((operator, args, kwargs or {}, result))
            return result

        def discard_results(self) -> None:
            """Overwrite results of the capture with NaN, because only a replay computes results."""
            for operator, _, _, result in self.calls:
                is_new = all(returned.alias_info is None for returned in operator._schema.returns)
                if is_new and isinstance(result, torch.Tensor) and result.is_floating_point():
                    result.fill_(float("nan"))

    return Recorder


def _streams(torch: Any) -> None:
    class Stream:
        def __init__(self, *_: Any, **__: Any) -> None:
            """There is only one stream."""

        def wait_stream(self, other: "Stream") -> None:
            """There is only one stream."""

        def query(self) -> bool:
            return True

    current = Stream()
    torch.cuda.Stream = Stream
    torch.cuda.current_stream, torch.cuda.stream = (
        lambda device=None: current,
        lambda stream: nullcontext(),
    )
