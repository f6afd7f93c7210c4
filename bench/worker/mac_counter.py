"""Counter of the multiply-accumulates that run, based on PyTorch's ``FlopCounterMode``."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.worker import formulas
from bench.worker.formulas import multiplies
from bench.worker.watch import Watch

# For higher-order operators, such as cond: without this option, those without a formula raise.
_SKIPPING: dict[str, Any] = (
    {"skip_unsupported": True}
    if "skip_unsupported" in signature(FlopCounterMode).parameters
    else {}
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts up to now, or between two points in time."""

    macs: int = 0
    activations: int = 0
    """Number of elements in the outputs of counted operators; for attention also its scores."""
    uncounted: Counter[str] = field(default_factory=Counter)
    """Calls of each operator, ``namespace::name``, that may multiply and has no formula."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.macs + other.macs,
            self.activations + other.activations,
            self.uncounted + other.uncounted,
        )

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(
            self.macs - other.macs,
            self.activations - other.activations,
            self.uncounted - other.uncounted,
        )


class MacCounter:
    """Counts everything that runs inside ``with MacCounter() as counter:``, without gradients.

    oneDNN and the fast path of attention are off inside, because they run an LSTM, or a layer of a
    transformer, as one operator. Computations in NumPy, or in the network's own threads, are not
    counted.
    """

    def __init__(self) -> None:
        self._flops = FlopCounterMode(
            display=False, custom_mapping=formulas.by_operator(), **_SKIPPING
        )
        # The default tracker hooks into gradients; autograd inside a forward pass breaks that.
        self._flops.mod_tracker = _NoTracker()  # type: ignore[assignment]
        self._operators = _Operators(self._flops.flop_registry)
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        with self._closing:
            contexts = (torch.no_grad(), _decomposed(), _seen_by_dynamo())
            for context in (*contexts, self._operators, self._flops):
                self._closing.enter_context(context)
            self._closing = self._closing.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    @property
    def macs(self) -> int:
        """Multiply-accumulates up to now: half of the FLOPs."""
        return self._flops.get_total_flops() // 2

    @property
    def macs_by_operator(self) -> Mapping[str, int]:
        """Multiply-accumulates by operator, ``namespace::name``."""
        counted = self._flops.get_flop_counts().get("Global", {})
        return {_name(packet): flops // 2 for packet, flops in counted.items()}

    @property
    def uncounted(self) -> Counter[str]:
        """Calls up to now of each operator that may multiply and has no formula."""
        return self.read().uncounted

    def read(self) -> Tally:
        """Return all counts up to now."""
        skipped: Counter[str] = getattr(self._flops, "get_unsupported_ops", Counter)()
        higher_order = Counter({f"higher_order::{name}": ran for name, ran in skipped.items()})
        operators = self._operators
        return Tally(self.macs, operators.activations, operators.uncounted + higher_order)


class _NoTracker:
    """Replacement for ``ModuleTracker`` that assigns all counts to the whole network."""

    parents = frozenset({"Global"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def hidden_operators(model: nn.Module) -> Counter[str]:
    """Return the operators in TorchScript graphs that multiply and bypass PyTorch's dispatcher.

    ``torch.jit.optimize_for_inference`` inserts such operators. Each counts once.
    """
    if isinstance(model, torch.jit.ScriptModule):
        kinds = (node.kind() for node in _nodes(model.inlined_graph))
        return Counter(kind for kind in kinds if kind.startswith("prim::") and multiplies(kind))
    return sum(map(hidden_operators, model.children()), Counter[str]())


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


class _Operators(Watch):
    """Watch over the operators below ``FlopCounterMode``, which decomposes composite operators."""

    def __init__(self, counted: Mapping[Any, Any]) -> None:
        super().__init__()
        self.activations = 0
        self.uncounted: Counter[str] = Counter()
        self._counted = counted

    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Record the output size of a counted operator, or that an operator is not counted."""
        packet = getattr(func, "_overloadpacket", func)
        name = _name(packet)
        if packet in self._counted:
            self.activations += _elements(name, args, result)
        elif isinstance(func, OpOverload) and multiplies(name) and _has_tensors(result):
            self.uncounted[name] += 1


def _elements(name: str, args: tuple[Any, ...], result: Any) -> int:
    """Return the output elements of a counted operator; for attention, scores are included."""
    first = next((leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), 0)
    if "attention" not in name:
        return first
    query, key = args[:2]
    return first + int(query.shape[:-1].numel() * key.shape[-2])


def _has_tensors(result: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(result))


def _name(packet: Any) -> str:
    """Return a name such as ``aten::mm``; for a higher-order operator, its plain name."""
    qualified = getattr(packet, "_qualified_op_name", None)
    return str(qualified or packet)


@contextmanager
def _seen_by_dynamo() -> Iterator[None]:
    """Remove the wrapper that hides the counter from Dynamo, as bench/worker/watch.py does.

    The wrapper imports Dynamo, which takes 2 to 3 s, and nothing is compiled here.
    """
    mode: Any = getattr(torch.utils.flop_counter, "_FlopCounterMode", None)
    hidden: Any = getattr(mode, "__torch_dispatch__", None)
    if not hasattr(hidden, "__wrapped__"):  # a private part of PyTorch, which may change
        yield
        return
    mode.__torch_dispatch__ = hidden.__wrapped__
    try:
        yield
    finally:
        mode.__torch_dispatch__ = hidden


@contextmanager
def _decomposed() -> Iterator[None]:
    """Run recurrent layers and transformers as separate matrix products."""
    mkldnn: Any = torch.backends.mkldnn
    # Not with the context manager flags(), which warns about Intel's GPUs.
    was_on, was_fast = mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    mkldnn.enabled = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
        mkldnn.enabled = was_on
