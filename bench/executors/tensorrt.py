"""TensorRT, through Torch-TensorRT: a network exported and built into engines for one GPU.

Engines are strongly typed: they compute in the dtypes of the network's weights and inputs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.capabilities import CUDA, INFERENCE
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.executor import Executor, ModuleProgram
from bench.executors.exported import export
from bench.executors.request import ExecutorRequest

if TYPE_CHECKING:
    from torch import nn

NAME = "tensorrt"
_ENGINE = "TorchTensorRTModule"


class TensorRtProgram(ModuleProgram):
    """A network whose operators run in TensorRT engines, as far as TensorRT has them."""

    def __init__(self, module: "nn.Module") -> None:
        """``module``: what ``torch_tensorrt.compile`` returns.

        Raises ``RequestError`` if it has no engine.
        """
        super().__init__(module)
        self._engines: list[Any] = [
            part for part in module.modules() if type(part).__name__ == _ENGINE
        ]
        if not self._engines:
            raise RequestError(
                f"{NAME} cannot run this network, because TensorRT supports none of its operators; "
                "choose compile or eager"
            )

    def settings(self) -> Mapping[str, str]:
        """Return the versions, the number of engines, and TF32 as the engines were built with it.

        More than one engine means that PyTorch runs the operators between them.
        """
        import tensorrt
        import torch_tensorrt

        disabled = {engine.settings.disable_tf32 for engine in self._engines}
        return {
            "torch_tensorrt": str(torch_tensorrt.__version__),
            "tensorrt": str(tensorrt.__version__),
            "engines": str(len(self._engines)),
            "tf32": ", ".join("off" if is_off else "on" for is_off in sorted(disabled)),
        }


def _prepare(module: "nn.Module", request: ExecutorRequest) -> TensorRtProgram:
    import torch
    import torch_tensorrt

    program = export(module, request, NAME)
    try:
        built = torch_tensorrt.compile(
            program,
            ir="dynamo",
            arg_inputs=request.example,
            device=request.device,
            # As the dtype pinned it. TensorRT would otherwise use TF32.
            disable_tf32=not torch.backends.cudnn.allow_tf32,
            # By default, a network of fewer than five operators would not be built.
            min_block_size=1,
        )
    except MemoryError:
        raise
    except Exception as error:
        raise RequestError(
            f"{NAME} cannot run this network, because Torch-TensorRT fails with {one_line(error)}; "
            "choose compile or eager"
        ) from error
    return TensorRtProgram(built)


_LINES = """\
import torch_tensorrt

with torch.no_grad():
    run = torch_tensorrt.compile(
        torch.export.export(model, example),
        ir="dynamo",
        arg_inputs=example,
        disable_tf32=not torch.backends.cudnn.allow_tf32,
        min_block_size=1,
    )
"""

TENSORRT = Executor(
    name=NAME,
    what="TensorRT engines, through Torch-TensorRT: tries kernels first, which takes minutes",
    prepare=_prepare,
    code=_LINES,
    not_exported="its engines fit one model of GPU and one version of TensorRT; export in the mode "
    "eager, and build them where they run",
    requires=("torch_tensorrt",),
    extra="tensorrt",
    devices=CUDA,
    tasks=INFERENCE,
    limits="an engine has only a forward pass; to train, use compile",
    dtypes=frozenset({"fp32", "tf32", "fp16", "bf16"}),
    compiles=True,
    is_exclusive=True,
)
