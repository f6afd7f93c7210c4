"""``torch.compile`` with Inductor, in its three modes."""

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.capabilities import CUDA, EVERY_DEVICE
from bench.executors.cpp_wrapper import CPP_WRAPPER
from bench.executors.executor import Executor, ModuleProgram
from bench.executors.exported import PROGRAM
from bench.executors.request import ExecutorRequest

if TYPE_CHECKING:
    from torch import nn

PRELOAD = ("bench.worker.preload",)
# Inductor's CUDA graphs: the first call runs kernels one by one, the second records, the third
# replays (torch/_inductor/cudagraph_trees.py).
_UNTIL_REPLAYED = 3
_CONV_BACKENDS = "max_autotune_conv_backends"
_CONV_BACKENDS_VARIABLE = "TORCHINDUCTOR_MAX_AUTOTUNE_CONV_BACKENDS"


class CompiledProgram(ModuleProgram):
    """A network under ``torch.compile``, which compiles it at its first call."""

    def was_cached(self) -> bool | None:
        """Whether every graph came out of Inductor's cache on disk."""
        from torch._dynamo.utils import counters

        inductor, autograd = counters["inductor"], counters["aot_autograd"]
        hits = inductor["fxgraph_cache_hit"] + autograd["autograd_cache_hit"]
        misses = inductor["fxgraph_cache_miss"] + inductor["fxgraph_cache_bypass"]
        return hits > 0 and misses == 0

    def settings(self) -> Mapping[str, str]:
        """Return what differs from Inductor's defaults, read back from the compiled module."""
        compiled: Any = self.module
        config = compiled.get_compiler_config() or {}
        shown = {name: "on" for name in ("freezing", "cpp_wrapper") if config.get(name)}
        if config.get("max_autotune"):
            shown[_CONV_BACKENDS] = config[_CONV_BACKENDS]
        if (threads := config.get("cpp.threads", -1)) > 0:
            shown["threads"] = str(threads)
        return shown


def compiled(module: "nn.Module", request: ExecutorRequest, mode: str | None = None) -> "nn.Module":
    """Return a network that Inductor compiles at its first call.

    ``mode`` is one of ``torch.compile``; None for its default.
    """
    import torch

    if request.was_compiled:
        _compile_in_this_process()
    # Each worker has one input shape: a second one would recompile, and that fails the cell.
    options = _inductor_options(mode, request.options) or None
    return torch.compile(module, dynamic=False, options=options)  # type: ignore[return-value]


def _inductor_options(mode: str | None, options: frozenset[str]) -> dict[str, Any]:
    """Return what a mode and options change in Inductor's configuration.

    ``torch.compile`` takes a mode or options, not both; a mode is a name for options.
    """
    from torch._inductor import list_mode_options

    changed = dict(list_mode_options(mode)) if mode else {}
    # Inductor's own convolutions give wrong results on CUDA for kernels other than 1×1
    # (https://github.com/pytorch/pytorch/issues/173068).
    if changed.get("max_autotune") and _CONV_BACKENDS_VARIABLE not in os.environ:
        changed[_CONV_BACKENDS] = "ATEN"
    if CPP_WRAPPER.name in options:
        changed["cpp_wrapper"] = True
    return changed


def _compile_in_this_process() -> None:
    """Have Inductor compile in this process, without starting other processes.

    On CUDA it starts them even if everything is cached: per worker, one process that imports torch
    and forks one process per CPU. A round would count their CPU time as that of other processes.
    The compiled code and its cache key stay the same.
    """
    from torch._inductor import config

    config.compile_threads = 1


def _prepare(mode: str | None, module: "nn.Module", request: ExecutorRequest) -> CompiledProgram:
    return CompiledProgram(compiled(module, request, mode))


def _executor(
    name: str,
    what: str,
    *,
    mode: str | None,
    devices: frozenset[str] = EVERY_DEVICE,
    options: frozenset[str] = frozenset(),
    is_exclusive: bool = False,
    replays: bool = False,
) -> Executor:
    of_mode = "" if mode is None else f', mode="{mode}"'
    backends = (
        f'from torch._inductor import config\n\nconfig.{_CONV_BACKENDS} = "ATEN"\n'
        if mode == "max-autotune"
        else ""
    )
    return Executor(
        name=name,
        what=what,
        prepare=partial(_prepare, mode),
        imports=PRELOAD,
        code=f"{backends}run = torch.compile(model, dynamic=False{of_mode})\n",
        file=PROGRAM,
        devices=devices,
        options=options,
        compiles=True,
        captures=True,
        has_disk_cache=True,
        is_exclusive=is_exclusive,
        fixes_threads=True,
        replays=replays,
        calls=_UNTIL_REPLAYED if replays else 1,
    )


COMPILE = _executor(
    "compile",
    "torch.compile with Inductor's default mode",
    mode=None,
    options=frozenset({CPP_WRAPPER.name}),
)
REDUCE_OVERHEAD = _executor(
    "reduce-overhead",
    "torch.compile's mode of this name: compiled, and replayed as CUDA graphs",
    mode="reduce-overhead",
    devices=CUDA,
    replays=True,
)
MAX_AUTOTUNE = _executor(
    "max-autotune",
    "torch.compile's mode of this name: benchmarks kernels first, which takes minutes; on CUDA "
    "replayed as CUDA graphs",
    mode="max-autotune",
    options=frozenset({CPP_WRAPPER.name}),
    is_exclusive=True,
    replays=True,
)
