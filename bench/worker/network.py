"""An arch's network as a worker builds it; one that cannot be measured honestly is refused."""

import math
import sys
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from bench.cells import inputs, modes, module
from bench.cells.archs import Arch
from bench.cells.cell import Cell
from bench.errors import first_line
from bench.names import RequestError

# Two images at least: batch norm cannot take statistics of one value.
CALIBRATION_IMAGES = 2
State = Mapping[str, Tensor]
"""Copies of parameters and buffers on the CPU, by name."""


def build(arch: Arch, *, aux: bool, image_size: int) -> nn.Module:
    """Build an arch's network on the CPU, in fp32, with every parameter in its shape.

    ``aux`` is whether to add auxiliary heads. ``image_size`` in pixels is what lazy modules take
    their shapes from. Raises ``RequestError`` for a network that is compiled already, and where a
    lazy module takes no shape; errors of the arch's own code pass through.
    """
    model = arch.build(aux)
    _refuse_compiled(arch, model)
    model._apply(_as_fp32)
    _materialise(arch, model, image_size)
    return model


def check_mode(model: nn.Module, cell: Cell) -> None:
    """Raise ``RequestError`` where a cell's network is TorchScript that its cell cannot run.

    torch.compile runs TorchScript as it is, and says nothing; a frozen one has no weights.
    """
    scripted = [part for part in model.modules() if isinstance(part, torch.jit.ScriptModule)]
    if not scripted:
        return
    what = f"{cell.arch} is TorchScript ({module.kind(scripted[0])})"
    if modes.is_compiled(cell.mode):
        raise RequestError(
            f"{what}, which torch.compile does not compile: return the network itself, or choose "
            "the mode eager"
        )
    is_frozen = not any(True for part in scripted for _ in part.parameters())
    if is_frozen and (cell.task, cell.dtype) not in {("infer", "fp32"), ("infer", "tf32")}:
        raise RequestError(
            f"{what} with constants for weights, as torch.jit.freeze makes them: no dtype converts "
            "them, and no step trains them; return the network itself"
        )


def draw_zeros(model: nn.Module) -> None:
    """Draw matrices and kernels that are all zero, as PyTorch draws those of linear layers.

    A classifier that begins at zero, as ViT's does, answers zero whatever comes before it.
    """
    for parameter in model.parameters():
        if parameter.ndim > 1 and parameter.is_floating_point() and not parameter.any():
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5))


def calibrate(model: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of random images of the same size and device.

    A network that raises on two images gets the statistics of its own; one that raises on these as
    well keeps mean 0 and variance 1. The network is in eval mode meanwhile and afterwards, except
    for the batch norms, which are in training mode meanwhile.

    An untrained batch norm is almost the identity, which would hide a compiler that folds it
    wrongly.
    """
    module.to_eval(model)
    norms = [part for part in model.modules() if isinstance(part, _BatchNorm)]
    norms = [norm for norm in norms if not isinstance(norm, nn.SyncBatchNorm)]  # wants other GPUs
    if not norms:
        return
    drawn = inputs.random_images(CALIBRATION_IMAGES, images.shape[-1]).to(images)
    if not _take_statistics(model, norms, drawn):
        # A network may write into its images, and those that are timed must stay the same.
        _take_statistics(model, norms, images.clone())


def _take_statistics(model: nn.Module, norms: list[_BatchNorm], images: Tensor) -> bool:
    """Give batch norms the statistics of images; return whether the network can take them."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of this batch, not a step towards them
        norm.training = True
    try:
        with torch.no_grad():
            model(images)
    except Exception:  # noqa: BLE001 - what a network raises on its own images, it raises again
        for norm in norms:
            norm.reset_running_stats()  # some may have the statistics of these images
        return False
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.training = False
    return True


def state(model: nn.Module) -> State:
    """Copy a network's parameters and buffers to the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in _tensors(model)}


def restore(model: nn.Module, kept: State) -> None:
    """Write what ``state`` copied back into a network's own parameters and buffers.

    Raises ``RequestError`` for one that has changed and cannot be written to.
    """
    with torch.no_grad():
        for name, tensor in _tensors(model):
            before = kept[name].to(tensor.device)
            try:
                tensor.copy_(before)
            except RuntimeError as error:
                # Nothing can be written to an expanded buffer, for one, which rarely changes.
                if not _is_same(tensor, before):
                    raise RequestError(
                        f"the network changes {name}, and the value that it had before the first "
                        f"step cannot be written back ({first_line(str(error))}): keep it in a "
                        "tensor of its own, as clone() makes one, and in one shape"
                    ) from error


def _is_same(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal, and have NaNs in the same places."""
    if tensor.shape != other.shape:
        return False
    are_nan = (tensor != tensor) & (other != other)
    return bool(((tensor == other) | are_nan).all())


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _refuse_compiled(arch: Arch, model: nn.Module) -> None:
    for name, part in model.named_modules():
        if _is_compiled(part):
            what = f"a part of {arch.name}, {name}," if name else arch.name
            raise RequestError(
                f"{what} is compiled already, so that no mode of it would be what it says: return "
                "the network itself, and choose the mode compile"
            )


def _is_compiled(part: nn.Module) -> bool:
    if part._compiled_call_impl is not None or _is_compiled_function(part.forward):
        return True
    # Importing it takes seconds, and where nothing has, nothing is compiled.
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo is not None and isinstance(part, dynamo.OptimizedModule)


def _is_compiled_function(function: object) -> bool:
    """Whether torch.compile made a function; torch.compiler.disable leaves the same mark."""
    is_marked = hasattr(function, "_torchdynamo_orig_callable")
    return is_marked and not hasattr(function, "_torchdynamo_disable")


def _as_fp32(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex64)
    return tensor.float() if tensor.is_floating_point() else tensor


def _materialise(arch: Arch, model: nn.Module, image_size: int) -> None:
    """Have lazy modules take their shapes from an image, drawn apart from all that follows."""
    if not _lazy(model):
        return
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad(), module.in_eval(model):
        model(torch.randn(1, inputs.IMAGE_CHANNELS, image_size, image_size, generator=drawn))
    if left := _lazy(model):
        raise RequestError(
            f"{arch.name} has lazy modules that no forward in eval() reaches, and that have no "
            f"shape therefore: {', '.join(left)}; give them their sizes"
        )


def _lazy(model: nn.Module) -> list[str]:
    """The names of lazy modules; one that took its shape has another class."""
    return [name for name, part in model.named_modules() if isinstance(part, LazyModuleMixin)]
