"""OpenVINO, on the CPU."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.capabilities import CPU, INFERENCE
from bench.errors import RequestError
from bench.executors.executor import Executor, Program
from bench.executors.file_format import FileFormat
from bench.executors.profiled import ITERATIONS, WARM_UP, Totals, timed, to_profile
from bench.executors.request import ExecutorRequest
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.archs.source import Inputs
    from bench.executors.onnx.model import Structure

_DEVICE = "CPU"
_PRECISION, _THREADS = "INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS"
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoProgram(Program):
    """A compiled model with one infer request, whose inputs share the memory of tensors."""

    def __init__(self, compiled: Any, opset: int, structure: "Structure") -> None:
        """``compiled``: an ``openvino.CompiledModel``."""
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._opset = opset
        self._structure = structure

    def load(self, example: "Inputs") -> list[Any]:
        """Return OpenVINO's tensors; they share the memory of contiguous ones."""
        from openvino import Tensor

        return [Tensor(tensor.contiguous().numpy(), shared_memory=True) for tensor in example]

    def run(self, inputs: list[Any]) -> Any:
        """Infer; the next call overwrites the output."""
        return self._request.infer(inputs, share_inputs=True, share_outputs=True)

    def unload(self, output: Any) -> Any:
        """Return the tensors in the structure of the network's own output."""
        import torch

        return self._structure.nest(map(torch.from_numpy, output.to_tuple()))

    def operators(self, step: Callable[[], object], inputs: list[Any]) -> OperatorProfile:
        """Return the time by type of node, from OpenVINO's performance counters.

        They need a model that was compiled with them: a second one, with the same properties.
        """
        del step
        request = self._counting().create_infer_request()

        def infer() -> None:
            request.infer(inputs, share_inputs=True, share_outputs=True)

        timed(infer, WARM_UP)
        before_s = {node.node_name: WARM_UP * _mean_s(node) for node in _executed(request)}
        wall_s = timed(infer, ITERATIONS)
        totals = Totals()
        for node in _executed(request):
            sum_s = (WARM_UP + ITERATIONS) * _mean_s(node) - before_s.get(node.node_name, 0.0)
            totals.add(node.node_type, max(0.0, sum_s), ITERATIONS)
        return to_profile("OpenVINO's performance counters", totals, wall_s)

    def _counting(self) -> Any:
        """Return the same model with performance counters."""
        from openvino import Core

        threads = self._compiled.get_property(_THREADS)
        properties = _properties(threads, read_back(self._compiled, _PRECISION))
        exported = self._compiled.export_model()
        counting = Core().import_model(exported, _DEVICE, {**properties, "PERF_COUNT": True})
        _refuse_other(counting, {name: properties[name] for name in (_PRECISION, _THREADS)})
        return counting

    def settings(self) -> Mapping[str, str]:
        """Return the version, and the properties that OpenVINO reads back."""
        import openvino

        names = (*_properties(1, _PRECISIONS["float32"]), "SCHEDULING_CORE_TYPE")
        return {
            "openvino": openvino.__version__,
            "opset": str(self._opset),
            **{name: read_back(self._compiled, name) for name in names},
        }


def read_back(compiled: Any, name: str) -> str:
    """Return a property of a compiled model, in the spelling in which it is set."""
    value = compiled.get_property(name)
    if name == _PRECISION:
        return str(value.to_string())
    return str(getattr(value, "name", value))


def _executed(request: Any) -> Iterator[Any]:
    """Yield OpenVINO's ``ProfilingInfo`` of each node that is executed."""
    nodes = request.get_profiling_info()
    return (node for node in nodes if node.status.name == "EXECUTED")


def _mean_s(node: Any) -> float:
    """Return the seconds of a node: the mean over all inferences, of which the first are slow."""
    seconds: float = node.real_time.total_seconds()
    return seconds


def _properties(threads: int, precision: str) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        _THREADS: threads,
        # Otherwise OpenVINO takes bf16 by itself where the CPU has it.
        _PRECISION: precision,
        # As in the pinned environment, threads may move between cores, and hyper-threads are used
        # if so many threads were asked for.
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,
    }


def _prepare(module: "nn.Module", request: ExecutorRequest) -> Program:
    from openvino import Core

    from bench.executors.onnx.model import exported

    core = Core()
    precision = _precision(core, request.dtype)
    properties = _properties(request.threads, precision)
    with exported(module, request, "openvino") as model:
        # openvino.convert_model would send usage data, unless the user has opted out.
        compiled = core.compile_model(core.read_model(model.path), _DEVICE, properties)
    _refuse_other(compiled, {name: properties[name] for name in (_PRECISION, _THREADS)})
    return OpenVinoProgram(compiled, model.opset, model.structure)


def _refuse_other(compiled: Any, properties: Mapping[str, Any]) -> None:
    """Raise ``RequestError`` if a compiled model does not have these properties."""
    for name, value in properties.items():
        if (actual := read_back(compiled, name)) != str(value):
            raise RequestError(
                f"openvino was asked for {name}={value} but took {actual}, so its figures would "
                "not be comparable; choose another mode"
            )


def _precision(core: Any, dtype: "torch.dtype") -> str:
    """Return OpenVINO's name of a dtype. Raises ``RequestError`` if this CPU does not have it."""
    precision = _PRECISIONS[str(dtype).removeprefix("torch.")]
    offered = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in offered:
        raise RequestError(
            "openvino does not compute in bf16 on this CPU, only in "
            f"{', '.join(name for name in offered if name.startswith(('FP', 'INT')))}; choose "
            "the dtype fp32"
        )
    return precision


_LINES = f"""\
import openvino

exported = torch.onnx.export(model, example, dynamo=True).model_proto.SerializeToString()
properties = {{
    "PERFORMANCE_HINT": "LATENCY",
    "{_THREADS}": torch.get_num_threads(),
    "{_PRECISION}": {{torch.float32: "f32", torch.bfloat16: "bf16"}}[dtype],
}}
core = openvino.Core()
compiled = core.compile_model(core.read_model(model=exported), "{_DEVICE}", properties)


def run(*inputs):
    outputs = compiled([each.contiguous().numpy() for each in inputs]).to_tuple()
    outputs = [torch.from_numpy(each) for each in outputs]
    return outputs if outputs[1:] else outputs[0]
"""


def _write(module: "nn.Module", request: ExecutorRequest, path: Path) -> None:
    """Write a model, with the weights in a second file, in fp32: converted to bf16 at load."""
    from openvino import Core, save_model

    from bench.executors.onnx.model import write

    core = Core()
    _precision(core, request.dtype)
    with tempfile.TemporaryDirectory(prefix="googlenet-bench-") as folder:
        onnx = Path(folder, "network.onnx")
        write(module, request.example, onnx, "openvino")
        save_model(core.read_model(onnx), path, compress_to_fp16=False)


_LOADING = """\
import openvino

compiled = openvino.Core().compile_model(
    path, "{device}", {{"PERFORMANCE_HINT": "LATENCY", "{key}": "{precision}"}}
)


def run(*inputs):
    return list(compiled(inputs).to_tuple())
"""


def _code(request: ExecutorRequest) -> str:
    precision = _PRECISIONS[str(request.dtype).removeprefix("torch.")]
    return _LOADING.format(device=_DEVICE, key=_PRECISION, precision=precision)


OPENVINO = Executor(
    name="openvino",
    what="OpenVINO, on the CPU, with the network exported to ONNX",
    prepare=_prepare,
    code=_LINES,
    file=FileFormat(
        what="an OpenVINO model, with its weights in a .bin file beside it",
        suffix=".xml",
        write=_write,
        code=_code,
        takes_arrays=True,
    ),
    requires=("onnx", "onnxscript", "openvino"),
    extra="openvino",
    imports=("onnxscript", "openvino"),
    devices=CPU,
    tasks=INFERENCE,
    dtypes=frozenset({"bf16", "fp32"}),
    limits="it runs inference in fp32, and in bf16 where the CPU has it",
    compiles=True,
    converts=True,
    has_own_layout=True,
    keeps_memory=True,
)
