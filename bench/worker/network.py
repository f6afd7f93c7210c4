"""Construction of an arch's network in a worker; refuses networks that cannot be measured."""

import math
import sys
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from bench.archs.source import Arch, Inputs
from bench.cells import inputs, modes, module
from bench.cells.cell import Cell
from bench.cells.inputs import Draw, Drawing
from bench.error_text import first_line
from bench.errors import RequestError

# At least two images: batch norm cannot compute statistics of one value.
CALIBRATION_IMAGES = 2
State = Mapping[str, Tensor]
"""Copies of parameters and buffers on the CPU, by name."""


def build(arch: Arch, *, aux: bool, draw: Draw) -> nn.Module:
    """Build an arch's network on the CPU, in fp32, with the shapes of all parameters known.

    ``aux`` adds auxiliary heads. ``draw`` returns inputs that determine the shapes of lazy modules.
    Raises ``RequestError`` if the network is already compiled, or if a lazy module gets no shape.
    Errors of the arch's own code pass through.
    """
    model = arch.build(aux)
    _refuse_compiled(arch, model)
    if isinstance(draw, Drawing):
        model = draw.positional(model)
    model._apply(_as_fp32)
    _materialise(arch, model, draw)
    return model


def check_mode(model: nn.Module, cell: Cell) -> None:
    """Raise ``RequestError`` if a cell's network is TorchScript that the cell cannot run.

    torch.compile runs TorchScript uncompiled, without a warning. Frozen TorchScript has no weights.
    """
    scripted = [part for part in model.modules() if isinstance(part, torch.jit.ScriptModule)]
    if not scripted:
        return
    subject = f"{cell.arch} is TorchScript ({module.kind(scripted[0])})"
    if modes.parse(cell.mode).executor.captures:
        raise RequestError(
            f"{subject}, which torch.compile does not compile: return the network itself, or "
            "choose the mode eager"
        )
    is_frozen = not any(True for part in scripted for _ in part.parameters())
    if is_frozen and (cell.task, cell.dtype) not in {("infer", "fp32"), ("infer", "tf32")}:
        raise RequestError(
            f"{subject} whose weights are constants, as torch.jit.freeze makes them: they cannot "
            "be converted to a dtype or trained; return the network itself"
        )


def draw_zeros(model: nn.Module) -> None:
    """Draw new values for matrices and kernels of zeros, as PyTorch does for linear layers.

    A classifier that is initialised with zeros, as in ViT, would return zero for every input.
    """
    for parameter in model.parameters():
        if parameter.ndim > 1 and parameter.is_floating_point() and not parameter.any():
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5))


def calibrate(model: nn.Module, draw: Draw, example: Inputs) -> None:
    """Set the statistics of batch norms to those of two images that ``draw`` returns.

    If the network raises on two images, ``example`` is used. If it raises on that too, the batch
    norms keep mean 0 and variance 1. The network is in eval mode during and after the call, except
    that its batch norms are in training mode during the call.

    An untrained batch norm is almost the identity, which would hide a compiler that folds it
    incorrectly.
    """
    module.to_eval(model)
    norms = [part for part in model.modules() if isinstance(part, _BatchNorm)]
    norms = [norm for norm in norms if not isinstance(norm, nn.SyncBatchNorm)]  # needs several GPUs
    if not norms:
        return
    drawn = inputs.to(draw(CALIBRATION_IMAGES), example[0].device)
    if not _take_statistics(model, norms, drawn):
        # A clone, because a network may write into its images and the timed images must not change.
        _take_statistics(model, norms, inputs.clone(example))


def _take_statistics(model: nn.Module, norms: list[_BatchNorm], example: Inputs) -> bool:
    """Set batch norms to the statistics of images; return whether the network accepts them."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # use the statistics of this batch, not a moving average
        norm.training = True
    try:
        with torch.no_grad():
            model(*example)
    except Exception:  # noqa: BLE001 - an error on its own images is raised again later
        for norm in norms:
            norm.reset_running_stats()  # some may already have new statistics
        return False
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.training = False
    return True


def state(model: nn.Module) -> State:
    """Copy a network's parameters and buffers to the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in _tensors(model)}


def restore(model: nn.Module, saved: State) -> None:
    """Write the values that ``state`` copied back into a network's parameters and buffers.

    Raises ``RequestError`` if a tensor has changed and cannot be written to.
    """
    with torch.no_grad():
        for name, tensor in _tensors(model):
            before = saved[name].to(tensor.device)
            try:
                tensor.copy_(before)
            except RuntimeError as error:
                # For example, an expanded buffer cannot be written to, but it rarely changes.
                if not _is_same(tensor, before):
                    raise RequestError(
                        f"the network changes {name}, and its value before the first step cannot "
                        f"be written back ({first_line(str(error))}): store it in a separate "
                        "tensor, for example with clone(), and do not change its shape"
                    ) from error


def _is_same(tensor: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal, with NaNs in the same places."""
    if tensor.shape != other.shape:
        return False
    are_nan = (tensor != tensor) & (other != other)
    return bool(((tensor == other) | are_nan).all())


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _refuse_compiled(arch: Arch, model: nn.Module) -> None:
    for name, part in model.named_modules():
        if _is_compiled(part):
            subject = f"{arch.name}: its part {name}" if name else arch.name
            raise RequestError(
                f"{subject} is already compiled, so no mode would describe it correctly: return "
                "the network itself, and choose the mode compile"
            )


def _is_compiled(part: nn.Module) -> bool:
    if part._compiled_call_impl is not None or _is_compiled_function(part.forward):
        return True
    # Not imported here, which takes seconds: if nothing has imported it, nothing is compiled.
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo is not None and isinstance(part, dynamo.OptimizedModule)


def _is_compiled_function(function: object) -> bool:
    """Return whether torch.compile made a function. torch.compiler.disable sets the same mark."""
    is_marked = hasattr(function, "_torchdynamo_orig_callable")
    return is_marked and not hasattr(function, "_torchdynamo_disable")


def _as_fp32(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex64)
    return tensor.float() if tensor.is_floating_point() else tensor


def _materialise(arch: Arch, model: nn.Module, draw: Draw) -> None:
    """Give lazy modules their shapes from an image; the random generator continues as before."""
    if not _lazy(model):
        return
    with torch.random.fork_rng(devices=()):
        example = draw(1)
    with torch.no_grad(), module.in_eval(model):
        model(*example)
    if lazy := _lazy(model):
        raise RequestError(
            f"{arch.name} has lazy modules without a shape, because no forward pass in eval() "
            f"reaches them: {', '.join(lazy)}; give them their sizes"
        )


def _lazy(model: nn.Module) -> list[str]:
    """Return the names of lazy modules; a module's class changes once it has a shape."""
    return [name for name, part in model.named_modules() if isinstance(part, LazyModuleMixin)]
