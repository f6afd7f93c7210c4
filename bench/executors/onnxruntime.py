"""ONNX Runtime, on the CPU."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.capabilities import CPU, INFERENCE
from bench.errors import RequestError
from bench.executors.executor import Executor, Program
from bench.executors.file_format import FileFormat
from bench.executors.profiled import ITERATIONS, WARM_UP, Totals, timed, to_profile
from bench.executors.request import ExecutorRequest
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from bench.archs.source import Inputs
    from bench.executors.onnx.model import OnnxModel

_PROVIDER = "CPUExecutionProvider"
# By default, waiting threads of a session spin after each run, which takes the CPU from the next
# worker.
_SPINNING = "session.intra_op.allow_spinning"
# Attributes of a session's options that ``prepare`` sets.
_COPIED = (
    "intra_op_num_threads",
    "inter_op_num_threads",
    "execution_mode",
    "graph_optimization_level",
)


class OnnxRuntimeProgram(Program):
    """A session, which is run as users run it: with NumPy arrays, which it does not copy."""

    def __init__(self, session: Any, model: "OnnxModel", onnx: bytes | None = None) -> None:
        """``session``: an ``onnxruntime.InferenceSession`` of the model.

        ``onnx``: the content of the model's file, from which ``operators`` makes a second session.
        """
        self._session = session
        self._onnx = onnx
        self._opset = model.opset
        self._structure = model.structure
        self._names = [tensor.name for tensor in session.get_inputs()]

    def load(self, example: "Inputs") -> "dict[str, np.ndarray]":
        """Return arrays by the name of the input; they share the memory of contiguous tensors."""
        arrays = (tensor.contiguous().numpy() for tensor in example)
        return dict(zip(self._names, arrays, strict=True))

    def run(self, inputs: "dict[str, np.ndarray]") -> "list[np.ndarray]":
        """Run the session; the output is new arrays."""
        arrays: list[np.ndarray] = self._session.run(None, inputs)
        return arrays

    def unload(self, output: "list[np.ndarray]") -> Any:
        """Return the tensors in the structure of the network's own output."""
        import torch

        return self._structure.nest(map(torch.from_numpy, output))

    def operators(
        self, step: Callable[[], object], inputs: "dict[str, np.ndarray]"
    ) -> OperatorProfile:
        """Return the time by type of node, from the profiler of a second session.

        A session profiles all its runs or none. Raises ``RequestError`` without the model's file.
        """
        del step
        if self._onnx is None:
            raise RequestError(
                "the ONNX model is larger than 2 GB, and its profile is not supported: profile "
                "another mode"
            )
        with TemporaryDirectory(prefix="googlenet-bench-") as folder:
            options = _copied(self._session.get_session_options())
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "profile"))
            session = _library().InferenceSession(self._onnx, options, providers=[_PROVIDER])
            for _ in range(WARM_UP):
                session.run(None, inputs)
            wall_s = timed(lambda: session.run(None, inputs), ITERATIONS)
            events = json.loads(Path(session.end_profiling()).read_bytes())
        totals = Totals()
        for op_type, time_s in _last_nodes(events):
            totals.add(op_type, time_s)
        return to_profile("ONNX Runtime's profiler", totals, wall_s)

    def settings(self) -> Mapping[str, str]:
        """Return versions, threads, optimisation and spinning."""
        options = self._session.get_session_options()
        return {
            "onnxruntime": _library().__version__,
            "opset": str(self._opset),
            "providers": " ".join(self._session.get_providers()),
            "intra_op_num_threads": str(options.intra_op_num_threads),
            "inter_op_num_threads": str(options.inter_op_num_threads),
            "execution_mode": options.execution_mode.name,
            "graph_optimization_level": options.graph_optimization_level.name,
            _SPINNING: options.get_session_config_entry(_SPINNING),
        }


def _library() -> ModuleType:
    """Import ONNX Runtime, which otherwise sends usage data from a thread of its own."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    library: ModuleType = onnxruntime
    return library


def _last_nodes(events: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield the type and the seconds of each node of the last ``ITERATIONS`` runs of a session."""
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    start = runs[-ITERATIONS]
    for event in events:
        is_node = event["cat"] == "Node" and event["name"].endswith("_kernel_time")
        if is_node and event["ts"] >= start:
            yield event["args"]["op_name"], event["dur"] / 1e6  # from microseconds


def _copied(given: Any) -> Any:
    """Return new options of a session with all settings of ``prepare`` as in ``given``."""
    options = _library().SessionOptions()
    for name in _COPIED:
        setattr(options, name, getattr(given, name))
    options.add_session_config_entry(_SPINNING, given.get_session_config_entry(_SPINNING))
    return options


def prepare(module: "nn.Module", request: ExecutorRequest, *, spins: bool = False) -> Program:
    """Return a session of a network; ``spins``: whether its threads spin while they wait."""
    from bench.executors.onnx.model import exported

    library = _library()
    options = library.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry(_SPINNING, str(int(spins)))
    with exported(module, request, "onnxruntime") as model:
        session = library.InferenceSession(model.path, options, providers=[_PROVIDER])
        # Weights over 2 GB are in a second file.
        keeps = request.is_profiled and model.is_one_file
        return OnnxRuntimeProgram(session, model, model.path.read_bytes() if keeps else None)


_LINES = f"""\
import onnxruntime

exported = torch.onnx.export(model, example, dynamo=True).model_proto.SerializeToString()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = torch.get_num_threads()
# As measured: threads that wait do not spin. Alone on a machine, spinning may be faster.
options.add_session_config_entry("{_SPINNING}", "0")
session = onnxruntime.InferenceSession(exported, options, providers=["{_PROVIDER}"])
names = [each.name for each in session.get_inputs()]


def run(*inputs):
    outputs = session.run(None, dict(zip(names, (each.numpy() for each in inputs))))
    outputs = [torch.from_numpy(each) for each in outputs]
    return outputs if outputs[1:] else outputs[0]
"""


def _write(module: "nn.Module", request: ExecutorRequest, path: Path) -> None:
    from bench.executors.onnx.model import write

    write(module, request.example, path, "onnxruntime")


_LOADING = f"""\
import onnxruntime

session = onnxruntime.InferenceSession(path, providers=["{_PROVIDER}"])
names = [tensor.name for tensor in session.get_inputs()]


def run(*inputs):
    return session.run(None, dict(zip(names, inputs)))
"""


def _code(_request: ExecutorRequest) -> str:
    return _LOADING


ONNXRUNTIME = Executor(
    name="onnxruntime",
    what="ONNX Runtime, on the CPU, with the network exported to ONNX",
    prepare=prepare,
    code=_LINES,
    file=FileFormat(
        what="an ONNX model", suffix=".onnx", write=_write, code=_code, takes_arrays=True
    ),
    requires=("onnx", "onnxruntime", "onnxscript"),
    extra="onnxruntime",
    imports=("onnxscript",),
    devices=CPU,
    tasks=INFERENCE,
    dtypes=frozenset({"fp32"}),
    limits="its CPU kernels compute in fp32, and it does not train",
    compiles=True,
    has_own_layout=True,
    keeps_memory=True,
)
