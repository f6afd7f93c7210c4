"""fvcore's count, shown under its own name beside ours; what it lacks makes nothing else blank.

fvcore traces a network and calls its total "flops". It means multiply-accumulates of convolutions
and matrix products, plus the operations of norms, average pooling and interpolation.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from bench.errors import in_a_line
from bench.worker import formulas

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
        """Of the whole network; None after an error."""
        return self.by_module.get("")

    @property
    def remark(self) -> str:
        """What the total lacks, or why there is none; empty where it is complete."""
        if self.error:
            return self.error
        names = ", ".join(f"{count} × {name}" for name, count in self.unknown.items())
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
    """Count ``model`` in ``eval()`` on ``images``, N × 3 × H × W; a failure is in ``error``."""
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
    return f"{family}: {_listed(ran)} ran where fvcore counts {_listed(counted)}{unknown}"


def _listed(counts: Mapping[str, int]) -> str:
    """A sum of multiply-accumulates, with the operators that make it up."""
    names = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
    return f"{sum(counts.values()):,}" + (f" ({names})" if names else "")
