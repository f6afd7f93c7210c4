"""oneDNN Graph: a network as TorchScript, whose operators oneDNN compiles in layouts of its own.

Activations stay in oneDNN's blocked layouts from convolution to convolution, through pooling and
concatenation. Freezing folds batch norms into convolutions, which also compute the ReLU after them.
PyTorch has deprecated TorchScript, but offers oneDNN Graph nowhere else.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import capture
from bench.capabilities import CPU, INFERENCE
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.executor import Executor, Program
from bench.executors.exported import export
from bench.executors.file_format import FileFormat
from bench.executors.request import ExecutorRequest
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    from torch import nn
    from torch.jit import ScriptModule

NAME = "onednn"
# TorchScript notes the shapes in the first call, and compiles for them in the second.
_CALLS = 2
# A partition is a part of the graph that oneDNN compiles: where it is called, and its operators.
_CALL = re.compile(r"= prim::oneDNNFusionGroup_(\d+)\[")
_BODY = re.compile(r"^with prim::oneDNNFusionGroup_(\d+) = graph\((.*?)\n  return ", re.M | re.S)
_OPERATOR = re.compile(r"= aten::_?(\w+)\(")
_PROFILED = re.compile(r"LlgaPartition_(\d+)")


class ScriptedProgram(Program):
    """A network as TorchScript that oneDNN Graph has compiled."""

    def __init__(self, script: "ScriptModule", partitions: Sequence[str]) -> None:
        """``partitions``: the operators of each partition, in the order of calls."""
        self._script = script
        self._partitions = partitions

    def run(self, inputs: Any) -> Any:
        """Run the script."""
        return self._script(*inputs)

    def operators(self, step: Callable[[], object], inputs: Any) -> OperatorProfile:
        """Return the time by kind of partition, from torch.profiler."""
        from bench.executors import torch_profiler

        return torch_profiler.profile(step, inputs, self._kinds)

    def _kinds(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return the operators of each partition that the profiler knows by number only.

        Partitions are numbered in the order of the graph. The numbers begin where those of earlier
        networks of this process end.
        """
        profiled = sorted(
            (match for name in names if (match := _PROFILED.fullmatch(name))),
            key=lambda match: int(match[1]),
        )
        if len(profiled) != len(self._partitions):
            return {}
        return {
            match[0]: f"oneDNN: {operators}"
            for match, operators in zip(profiled, self._partitions, strict=True)
        }

    def settings(self) -> Mapping[str, str]:
        """Return the number of partitions, and of threads."""
        import torch

        return {
            "oneDNN partitions": str(len(self._partitions)),
            "threads": str(torch.get_num_threads()),
        }


def partitions(graph: str) -> list[str]:
    """Return the operators of each partition of an optimized graph, such as ``convolution+relu``.

    They stand in the order in which the graph calls them.
    """
    bodies = dict(_BODY.findall(graph))
    return ["+".join(_OPERATOR.findall(bodies[number])) for number in _CALL.findall(graph)]


def _prepare(module: "nn.Module", request: ExecutorRequest) -> ScriptedProgram:
    import torch

    script = _script(module, request)
    try:
        with torch.inference_mode():
            for _ in range(_CALLS):
                script(*request.example)
    except MemoryError:
        raise
    except Exception as error:
        raise _failed("oneDNN Graph", error) from error
    found = partitions(str(torch._C._last_executed_optimized_graph()))
    if not found:
        raise RequestError(
            f"{NAME} runs no operator of this network, or PyTorch {torch.__version__} lacks oneDNN "
            "Graph; choose compile or eager"
        )
    return ScriptedProgram(script, found)


def _script(module: "nn.Module", request: ExecutorRequest) -> "ScriptModule":
    """Return a network as frozen TorchScript, and enable oneDNN Graph in this process.

    What is traced are the operators that ``torch.export`` captured, so that no branch on a value is
    missed.
    """
    import torch

    network = export(module, request, NAME).module(check_guards=False)
    torch.jit.enable_onednn_fusion(True)
    try:
        with torch.no_grad(), _without_warnings():
            traced = torch.jit.trace(network, request.example, check_trace=False, strict=False)
            script: ScriptModule = torch.jit.freeze(traced.eval())
            return script
    except MemoryError:
        raise
    except Exception as error:
        raise _failed("TorchScript", error) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore TorchScript's warnings.

    It warns that it is deprecated, which the documentation says, and of Python values in the trace,
    which are constants of what ``torch.export`` captured.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit._trace.TracerWarning)
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", "`torch.jit.* is deprecated", category)
        yield


def _failed(part: str, error: Exception) -> RequestError:
    return RequestError(
        f"{NAME} cannot run this network, because {part} fails with {one_line(error)}; "
        "choose compile or eager"
    )


_LINES = f"""\
torch.jit.enable_onednn_fusion(True)
with torch.inference_mode():
    operators = torch.export.export(model, example).module(check_guards=False)
    run = torch.jit.freeze(torch.jit.trace(operators, example, strict=False).eval())
    for _ in range({_CALLS}):
        run(*example)
"""


def _write(module: "nn.Module", request: ExecutorRequest, path: Path) -> None:
    import torch

    script = _script(module, request)
    with _without_warnings():
        torch.jit.save(script, path)


def _code(_request: ExecutorRequest) -> str:
    return "torch.jit.enable_onednn_fusion(True)\nrun = torch.jit.load(path)\n"


ONEDNN = Executor(
    name=NAME,
    what="oneDNN Graph, through TorchScript: layouts of oneDNN's own, with batch norms folded",
    prepare=_prepare,
    code=_LINES,
    file=FileFormat(
        what="a TorchScript file",
        suffix=".pt",
        write=_write,
        code=_code,
    ),
    imports=capture.IMPORTS,
    devices=CPU,
    tasks=INFERENCE,
    dtypes=frozenset({"fp32"}),
    limits="it runs inference in fp32 on a CPU; freeze runs other dtypes too, and compile trains",
    compiles=True,
    has_own_layout=True,
    fixes_threads=True,
)
