"""A watch over every operator that runs: the base of what counts operators, or what they hold."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode, ABC):
    """Runs operators, and shows each to ``ran``."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether to be hidden from Dynamo: importing it takes 3 s, and nothing compiles here."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator."""
        result = func(*args, **(kwargs or {}))
        self.ran(func, args, result)
        return result

    @abstractmethod
    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Look at an operator that ran: what went in by position, and what came out."""
