"""Base class for counters that observe every operator that runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode, ABC):
    """Dispatch mode that runs each operator and passes it to ``ran``."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: hiding imports Dynamo, which takes 3 s, and nothing compiles here."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator and report it to ``ran``."""
        result = func(*args, **(kwargs or {}))
        self.ran(func, args, result)
        return result

    @abstractmethod
    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Observe an operator that ran, with its positional arguments and its result."""
