"""Declarations of a source of networks, and of each of its networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

Inputs: TypeAlias = "tuple[Tensor, ...]"
"""The positional arguments of a forward pass; usually one batch of images, N × 3 × H × W."""
IMAGE_SIZE = 224
"""Height and width of the images that most networks are made for, in pixels."""


def _usual_size() -> int:
    return IMAGE_SIZE


def _images(_batch_size: int) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arch:
    """A network's name and how to build it; building imports torch."""

    name: str
    what: str
    """One line for ``googlenet-bench archs``."""
    source: str
    """Where it is described or defined: a paper, a library, a module."""
    build: "Callable[[bool], nn.Module]"
    """Build it with random weights; the argument says whether to add auxiliary heads."""
    image_size: Callable[[], int] = _usual_size
    """Function that returns the height and width of the images that it is made for, in pixels. It
    may import what building imports."""
    requested_size: int | None = None
    """The height and width that ``NAME@PIXELS`` asks for; None without it."""
    inputs: Callable[[int], object] = _images
    """Function that returns a batch of this size, if the network takes something else than RGB
    images: a tensor, or a sequence of tensors for several positional arguments, each with the batch
    as its first dimension. None if it takes images."""
    imports: tuple[str, ...] = ()
    """Modules besides torch that building imports and that are safe to import before a fork."""
    code: tuple[str, ...] = ()
    """Top-level modules whose files are the network's own code; a change of one makes another run.
    Libraries are not among them: their versions are in the environment."""


def _no_names() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source of networks."""

    name: str
    form: str
    """How its archs are written, for example ``torchvision:NAME``."""
    prefix: str | None
    """What stands before the colon of its archs' names; empty if they have no colon, and None for
    the one source that takes every prefix that no other has."""
    find: Callable[[str], Arch]
    """Return the arch with this name, without its prefix; raise ``RequestError`` if there is none.
    """
    names: Callable[[], Sequence[str]] = _no_names
    """The names that ``find`` takes; empty if they cannot be listed. They are looked through when a
    name is unknown, so listing them should import no torch."""
