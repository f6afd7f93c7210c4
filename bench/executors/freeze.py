"""``torch.compile`` with Inductor's freezing: weights become constants of the compiled code.

So batch norms fold into convolutions, and on a CPU oneDNN packs the weights once, not at each call.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.capabilities import INFERENCE
from bench.executors.compile import PRELOAD, CompiledProgram, compiled
from bench.executors.cpp_wrapper import CPP_WRAPPER
from bench.executors.executor import Executor
from bench.executors.exported import PROGRAM
from bench.executors.request import ExecutorRequest

if TYPE_CHECKING:
    from torch import nn


class FrozenProgram(CompiledProgram):
    """A network under ``torch.compile`` with freezing."""

    def was_cached(self) -> bool | None:
        """Whether every graph came out of Inductor's cache; None if no cache can keep a graph.

        That is so for weights that oneDNN packed. Only the kernels are then kept on disk.
        """
        from torch._dynamo.utils import counters

        if counters["inductor"]["fxgraph_cache_bypass"]:
            return None
        return super().was_cached()

    def settings(self) -> Mapping[str, str]:
        """Return those of ``compile``, the number of packed convolutions, and the threads.

        Inductor counts the convolutions of this process.
        """
        import torch
        from torch._dynamo.utils import counters

        return {
            **super().settings(),
            "packed convolutions": str(
                counters["inductor"]["mkldnn_conv_weight_pack_matcher_count"]
            ),
            "threads": str(torch.get_num_threads()),
        }


def _prepare(module: "nn.Module", request: ExecutorRequest) -> FrozenProgram:
    from torch._inductor import config

    # For this process, which runs one cell. As an option of torch.compile it would do nothing,
    # because Dynamo reads it while it traces (is_parameter_freezing in torch/_dynamo/utils.py).
    config.freezing = True
    return FrozenProgram(compiled(module, request))


FREEZE = Executor(
    name="freeze",
    what="torch.compile with freezing: weights become constants, packed for the CPU",
    prepare=_prepare,
    code="from torch._inductor import config\n\nconfig.freezing = True\n"
    "run = torch.compile(model, dynamic=False)\n",
    file=PROGRAM,
    imports=PRELOAD,
    tasks=INFERENCE,
    limits="weights become constants; to train, use compile",
    options=frozenset({CPP_WRAPPER.name}),
    compiles=True,
    captures=True,
    has_disk_cache=True,
    fixes_threads=True,
)
