"""fvcore's count, shown under its own name beside ours; what it lacks makes nothing else blank.

fvcore traces a network and calls its total "flops". It means multiply-accumulates of convolutions
and matrix products, plus the operations of norms, average pooling and interpolation.
"""

import multiprocessing
import os
import platform
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from bench.errors import in_a_line
from bench.signals import ending
from bench.worker import formulas
from bench.worker.parent_death import die_with_parent

# Tracing takes about as long as two forwards. A worker has 120 s for all of its counts, which must
# not be lost for this one.
LIMIT_S = 45.0
CONVOLUTIONS = frozenset({"conv"})
PRODUCTS = frozenset({"linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FvcoreCount:
    """What fvcore says of a network."""

    by_module: Mapping[str, int] = field(default_factory=dict)
    """Its total for each module by dotted name, and for all under ""; empty after an error."""
    by_operator: Mapping[str, int] = field(default_factory=dict)
    """Its total by its own names of operators."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Operators that it counts as 0 because it does not know them, by how often they run."""
    error: str = ""
    """Why there is no count."""

    @property
    def total(self) -> int | None:
        """The whole network's; None after an error."""
        return self.by_module.get("")

    @property
    def remark(self) -> str:
        """What the total lacks, or why there is none; empty where it is complete."""
        if self.error:
            return self.error
        # Those that multiply come first: a table may cut the rest off.
        in_order = sorted(self.unknown, key=lambda name: not formulas.multiplies(name))
        names = ", ".join(f"{self.unknown[name]} × {name}" for name in in_order)
        return f"without {names}" if names else ""

    def disagreements(self, macs_by_operator: Mapping[str, int]) -> tuple[str, ...]:
        """Where fvcore counts other multiply-accumulates than ran: a sentence for each family."""
        if self.total is None:
            return ()
        found = []
        for family, theirs, is_ours in (
            ("convolutions", CONVOLUTIONS, _is_convolution),
            ("matrix products", PRODUCTS, lambda name: not _is_convolution(name)),
        ):
            ran = {name: macs for name, macs in macs_by_operator.items() if is_ours(name)}
            counted = {name: self.by_operator[name] for name in theirs & self.by_operator.keys()}
            if sum(ran.values()) != sum(counted.values()):
                missed = [
                    name for name in self.unknown if formulas.multiplies(name) and is_ours(name)
                ]
                found.append(_disagreement(family, ran, counted, missed))
        return tuple(found)


def count(model: nn.Module, images: Tensor) -> FvcoreCount:
    """Count ``model`` in ``eval()`` on ``images``, N × 3 × H × W; a failure is in ``error``.

    fvcore counts in a child process where that can be forked: tracing some networks, such as one
    that catches a module's exception, aborts the process.
    """
    if platform.system() != "Linux":
        return _here(model, images)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(model, images, sending, os.getpid()))
    with warnings.catch_warnings():
        # Python 3.12 warns of other threads: they compute, and the child has one thread.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    sending.close()
    try:
        return _received(receiving, child)
    finally:
        child.kill()
        child.join()
        receiving.close()


def _received(receiving: Connection, child: BaseProcess) -> FvcoreCount:
    if not receiving.poll(LIMIT_S):
        return FvcoreCount(error=f"cannot trace it: not done after {LIMIT_S:.0f} s")
    try:
        found: FvcoreCount = receiving.recv()
    except EOFError:
        child.join()
        return FvcoreCount(error=f"cannot trace it: its process {ending(child.exitcode or 0)}")
    return found


def _in_a_child(model: nn.Module, images: Tensor, sending: Connection, parent: int) -> None:
    die_with_parent(parent)
    torch.set_num_threads(1)  # those of the parent are not here
    with Path(os.devnull).open("w") as nothing:  # what a network prints, it has printed
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    sending.send(_here(model, images))


def _here(model: nn.Module, images: Tensor) -> FvcoreCount:
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # attention's would be one operator
    try:
        with torch.no_grad():
            return _counted(model, images)
    # A network may fail to be traced in any way, and runs all the same.
    except Exception as error:  # noqa: BLE001
        return FvcoreCount(error=f"cannot trace it: {in_a_line(error)}")
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)


def _counted(model: nn.Module, images: Tensor) -> FvcoreCount:
    analysis = FlopCountAnalysis(model, images)
    # Its log lines say less than the remark does.
    analysis.tracer_warnings("none")
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)
    by_module: Counter[str] = analysis.by_module()
    unknown: Counter[str] = analysis.unsupported_ops()
    return FvcoreCount(
        # An einsum's count comes as a float.
        by_module={name: round(total) for name, total in by_module.items()},
        by_operator={name: round(total) for name, total in analysis.by_operator().items()},
        unknown=dict(sorted(unknown.items())),
    )


def _is_convolution(name: str) -> bool:
    return "conv" in name


def _disagreement(
    family: str, ran: Mapping[str, int], counted: Mapping[str, int], missed: list[str]
) -> str:
    """Both counts with their operators, and the operators that fvcore does not know."""
    unknown = f"; it does not know {', '.join(missed)}" if missed else ""
    return f"{_listed(ran)} MACs of {family} ran, and fvcore counts {_listed(counted)}{unknown}"


def _listed(counts: Mapping[str, int]) -> str:
    """A sum of multiply-accumulates, with the operators that make it up."""
    names = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
    return f"{sum(counts.values()):,}" + (f" ({names})" if names else "")
