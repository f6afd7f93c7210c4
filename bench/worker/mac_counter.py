"""The counter of multiply-accumulates: PyTorch's own ``FlopCounterMode``, over what really runs."""

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

# Operators on functions, such as cond: without this one that has no formula could not run.
_SKIPPING: dict[str, Any] = (
    {"skip_unsupported": True}
    if "skip_unsupported" in signature(FlopCounterMode).parameters
    else {}
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts until now, or between two times."""

    macs: int = 0
    activations: int = 0
    """Elements that the counted operators put out; of attention, its scores too."""
    uncounted: Counter[str] = field(default_factory=Counter)
    """How often operators ran that may multiply and have no formula, ``namespace::name``."""

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
    """Counts what runs inside ``with MacCounter() as counter:``, without gradients.

    oneDNN and attention's fast path are off there, since they run an LSTM, or a transformer's
    layer, as one operator. What a network computes in NumPy, or in threads of its own, is not seen.
    """

    def __init__(self) -> None:
        self._flops = FlopCounterMode(display=False, custom_mapping=formulas.known(), **_SKIPPING)
        # Its own tracks modules with hooks on gradients, which autograd inside a forward breaks.
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
        """Multiply-accumulates until now: half of the FLOPs."""
        return self._flops.get_total_flops() // 2

    @property
    def macs_by_operator(self) -> Mapping[str, int]:
        """Multiply-accumulates of each operator, ``namespace::name``."""
        counted = self._flops.get_flop_counts().get("Global", {})
        return {_name(packet): flops // 2 for packet, flops in counted.items()}

    @property
    def uncounted(self) -> Counter[str]:
        """How often operators ran until now that may multiply and have no formula."""
        return self.read().uncounted

    def read(self) -> Tally:
        """All counts until now."""
        skipped: Counter[str] = getattr(self._flops, "get_unsupported_ops", Counter)()
        on_functions = Counter({f"higher_order::{name}": ran for name, ran in skipped.items()})
        operators = self._operators
        return Tally(self.macs, operators.activations, operators.uncounted + on_functions)


class _NoTracker:
    """Stands for a ``ModuleTracker``: all is counted for the whole."""

    parents = frozenset({"Global"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def hidden_operators(model: nn.Module) -> Counter[str]:
    """What multiplies in TorchScript's graphs and never passes PyTorch's dispatcher.

    ``torch.jit.optimize_for_inference`` puts such operators there; each counts once.
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
    """Watches every operator below ``FlopCounterMode``, which has taken composite ones apart."""

    def __init__(self, counted: Mapping[Any, Any]) -> None:
        super().__init__()
        self.activations = 0
        self.uncounted: Counter[str] = Counter()
        self._counted = counted

    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Note what an operator puts out, or that it is not counted."""
        packet = getattr(func, "_overloadpacket", func)
        name = _name(packet)
        if packet in self._counted:
            self.activations += _elements(name, args, result)
        elif isinstance(func, OpOverload) and multiplies(name) and _has_tensors(result):
            self.uncounted[name] += 1


def _elements(name: str, args: tuple[Any, ...], result: Any) -> int:
    """What a counted operator puts out; of attention the scores too, its first product."""
    first = next((leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), 0)
    if "attention" not in name:
        return first
    query, key = args[:2]
    return first + int(query.shape[:-1].numel() * key.shape[-2])


def _has_tensors(result: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(result))


def _name(packet: Any) -> str:
    """``aten::mm``; of an operator on functions its own name."""
    qualified = getattr(packet, "_qualified_op_name", None)
    return str(qualified or packet)


@contextmanager
def _seen_by_dynamo() -> Iterator[None]:
    """Take the wrapper off the counter that hides it from Dynamo, as bench/worker/watch.py does.

    It imports Dynamo, which takes 2 to 3 s, and nothing compiles here.
    """
    mode: Any = getattr(torch.utils.flop_counter, "_FlopCounterMode", None)
    hidden: Any = getattr(mode, "__torch_dispatch__", None)
    if not hasattr(hidden, "__wrapped__"):  # it is PyTorch's own affair, and may change
        yield
        return
    mode.__torch_dispatch__ = hidden.__wrapped__
    try:
        yield
    finally:
        mode.__torch_dispatch__ = hidden


@contextmanager
def _decomposed() -> Iterator[None]:
    """Have recurrent layers and transformers run as the products that they are made of."""
    mkldnn: Any = torch.backends.mkldnn
    # The context manager flags() warns of Intel's GPUs.
    was_on, was_fast = mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    mkldnn.enabled = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
        mkldnn.enabled = was_on
