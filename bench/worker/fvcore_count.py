"""The count of fvcore, reported under its own name; its failures affect no other count.

fvcore traces a network and calls its total "flops". That total is the multiply-accumulates of
convolutions and matrix products, plus the operations of norms, average pooling and interpolation.
"""

import faulthandler
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
from torch import nn

from bench.archs.source import Inputs
from bench.error_text import one_line
from bench.signals import ending
from bench.worker import formulas
from bench.worker.parent_death import die_with_parent

# Tracing takes about as long as two forward passes. A worker has 120 s for all of its counts, and
# this one must not use up that time.
LIMIT_S = 45.0
CONVOLUTIONS = frozenset({"conv"})
PRODUCTS = frozenset({"linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FvcoreCount:
    """The result of fvcore for a network."""

    by_module: Mapping[str, int] = field(default_factory=dict)
    """Total of each module, by dotted name; ``""`` is the network. Empty after an error."""
    by_operator: Mapping[str, int] = field(default_factory=dict)
    """Total of each operator, by fvcore's operator names."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Number of calls of each operator that fvcore does not know and counts as 0."""
    error: str = ""
    """Reason for a missing count; empty if there is a count."""

    @property
    def total(self) -> int | None:
        """Total of the whole network; None after an error."""
        return self.by_module.get("")

    @property
    def remark(self) -> str:
        """What the total does not include, or why there is no total; empty if it is complete."""
        if self.error:
            return self.error
        # Operators that multiply come first, because a table may truncate the list.
        in_order = sorted(self.unknown, key=lambda name: not formulas.multiplies(name))
        names = ", ".join(f"{self.unknown[name]} × {name}" for name in in_order)
        return f"without {names}" if names else ""

    def disagreements(self, macs_by_operator: Mapping[str, int]) -> tuple[str, ...]:
        """Return sentences on operator families whose MACs in fvcore differ from those that ran."""
        if self.total is None:
            return ()
        sentences = []
        for family, fvcore_names, is_in_family in (
            ("convolutions", CONVOLUTIONS, _is_convolution),
            ("matrix products", PRODUCTS, lambda name: not _is_convolution(name)),
        ):
            ran = {name: macs for name, macs in macs_by_operator.items() if is_in_family(name)}
            counted = {
                name: self.by_operator[name] for name in fvcore_names & self.by_operator.keys()
            }
            if sum(ran.values()) != sum(counted.values()):
                missed = [
                    name
                    for name in self.unknown
                    if formulas.multiplies(name) and is_in_family(name)
                ]
                sentences.append(_disagreement(family, ran, counted, missed))
        return tuple(sentences)


def count(model: nn.Module, example: Inputs) -> FvcoreCount:
    """Count ``model`` in ``eval()`` on ``example``.

    A failure is reported in ``error``. On Linux fvcore runs in a forked child process, because
    tracing some networks aborts the process, for example a network that catches a module's
    exception.
    """
    if platform.system() != "Linux":
        return _count_in_process(model, example)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_count_in_child, args=(model, example, sending, os.getpid()))
    with warnings.catch_warnings():
        # Python 3.12 warns about other threads. They only compute, and the child has one thread.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    sending.close()
    try:
        return _receive(receiving, child)
    finally:
        child.kill()
        child.join()
        receiving.close()


def _receive(receiving: Connection, child: BaseProcess) -> FvcoreCount:
    if not receiving.poll(LIMIT_S):
        return FvcoreCount(error=f"cannot trace it: not finished after {LIMIT_S:.0f} s")
    try:
        result: FvcoreCount = receiving.recv()
    except EOFError:
        child.join()
        return FvcoreCount(error=f"cannot trace it: its process {ending(child.exitcode or 0)}")
    return result


def _count_in_child(model: nn.Module, example: Inputs, sending: Connection, parent: int) -> None:
    die_with_parent(parent)
    torch.set_num_threads(1)  # the threads of the parent do not exist in the child
    faulthandler.disable()  # pytest's would print the stack where tracing aborts
    with Path(os.devnull).open("w") as null:  # the network has printed this output before
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    sending.send(_count_in_process(model, example))


def _count_in_process(model: nn.Module, example: Inputs) -> FvcoreCount:
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would run attention as one operator
    try:
        with torch.no_grad():
            return _run_fvcore(model, example)
    # Tracing may raise any exception, even for a network that runs.
    except Exception as error:  # noqa: BLE001
        return FvcoreCount(error=f"cannot trace it: {one_line(error)}")
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)


def _run_fvcore(model: nn.Module, example: Inputs) -> FvcoreCount:
    analysis = FlopCountAnalysis(model, example)
    # Its log messages contain less than the remark.
    analysis.tracer_warnings("none")
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)
    by_module: Counter[str] = analysis.by_module()
    unknown: Counter[str] = analysis.unsupported_ops()
    return FvcoreCount(
        # fvcore returns a float for einsum.
        by_module={name: round(total) for name, total in by_module.items()},
        by_operator={name: round(total) for name, total in analysis.by_operator().items()},
        unknown=dict(sorted(unknown.items())),
    )


def _is_convolution(name: str) -> bool:
    return "conv" in name


def _disagreement(
    family: str, ran: Mapping[str, int], counted: Mapping[str, int], missed: list[str]
) -> str:
    """Return a sentence with both counts, their operators, and operators unknown to fvcore."""
    unknown = f"; it does not know {', '.join(missed)}" if missed else ""
    return f"{_listed(ran)} MACs of {family} ran, but fvcore counts {_listed(counted)}{unknown}"


def _listed(counts: Mapping[str, int]) -> str:
    """Return the sum of multiply-accumulates and the counts of its operators."""
    names = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
    return f"{sum(counts.values()):,}" + (f" ({names})" if names else "")
