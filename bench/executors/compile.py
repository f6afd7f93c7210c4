"""``torch.compile`` with Inductor, in its three modes."""

from functools import partial
from typing import TYPE_CHECKING

from bench.capabilities import CUDA, EVERY_DEVICE
from bench.executors.executor import Executor, ExecutorRequest, ModuleProgram

if TYPE_CHECKING:
    from torch import nn

_PRELOAD = ("bench.worker.preload",)
# Inductor's CUDA graphs: the first call runs kernels one by one, the second records, the third
# replays (torch/_inductor/cudagraph_trees.py).
_UNTIL_REPLAYED = 3


class CompiledProgram(ModuleProgram):
    """A network under ``torch.compile``, which compiles it at its first call."""

    def was_cached(self) -> bool | None:
        """Whether every graph came out of Inductor's cache on disk."""
        from torch._dynamo.utils import counters

        inductor, autograd = counters["inductor"], counters["aot_autograd"]
        hits = inductor["fxgraph_cache_hit"] + autograd["autograd_cache_hit"]
        misses = inductor["fxgraph_cache_miss"] + inductor["fxgraph_cache_bypass"]
        return hits > 0 and misses == 0


def _prepare(mode: str | None, module: "nn.Module", request: ExecutorRequest) -> CompiledProgram:
    import torch

    if request.was_compiled:
        _compile_in_this_process()
    # Each worker has one input shape: a second one would recompile, and that fails the cell.
    return CompiledProgram(torch.compile(module, dynamic=False, mode=mode))  # type: ignore[arg-type]


def _compile_in_this_process() -> None:
    """Have Inductor compile in this process, without starting other processes.

    On CUDA it starts them even if everything is cached: per worker, one process that imports torch
    and forks one process per CPU. A round would count their CPU time as that of other processes.
    The compiled code and its cache key stay the same.
    """
    from torch._inductor import config

    config.compile_threads = 1


def _executor(
    name: str,
    what: str,
    *,
    mode: str | None,
    devices: frozenset[str] = EVERY_DEVICE,
    is_exclusive: bool = False,
    replays: bool = False,
) -> Executor:
    of_mode = "" if mode is None else f', mode="{mode}"'
    return Executor(
        name=name,
        what=what,
        prepare=partial(_prepare, mode),
        code=f"run = torch.compile(model, dynamic=False{of_mode})\n",
        imports=_PRELOAD,
        devices=devices,
        compiles=True,
        captures=True,
        has_disk_cache=True,
        is_exclusive=is_exclusive,
        fixes_threads=True,
        replays=replays,
        calls=_UNTIL_REPLAYED if replays else 1,
    )


COMPILE = _executor("compile", "torch.compile with Inductor's default mode", mode=None)
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
    is_exclusive=True,
    replays=True,
)
