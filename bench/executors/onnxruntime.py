"""ONNX Runtime, on the CPU."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.capabilities import CPU, INFERENCE
from bench.executors.executor import Executor, ExecutorRequest, Program
from bench.executors.file_format import FileFormat

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from bench.archs.source import Inputs
    from bench.executors.onnx.model import OnnxModel

_PROVIDER = "CPUExecutionProvider"
# By default, waiting threads of a session spin after each run, which takes the CPU from the next
# worker.
_SPINNING = "session.intra_op.allow_spinning"


class OnnxRuntimeProgram(Program):
    """A session, which is run as users run it: with NumPy arrays, which it does not copy."""

    def __init__(self, session: Any, model: "OnnxModel") -> None:
        """``session``: an ``onnxruntime.InferenceSession`` of the model."""
        self._session = session
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
        return OnnxRuntimeProgram(session, model)


_LINES = f"""\
import onnxruntime

exported = torch.onnx.export(model, example, dynamo=True).model_proto.SerializeToString()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = torch.get_num_threads()
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
