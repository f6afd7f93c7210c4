"""Declarations of a source of networks, and of each of its networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bench import optional

if TYPE_CHECKING:
    from torch import Tensor, nn

Inputs: TypeAlias = "tuple[Tensor, ...]"
"""The positional arguments of a forward pass; usually one batch of images, N × 3 × H × W."""
Shape: TypeAlias = tuple[int, int, int]
"""Channels, height and width of an image."""
RGB = 3
IMAGE_SIZE = 224
"""Height and width of the images that most networks are made for, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The published accuracy of a network with trained weights; the suite does not measure it."""

    percent: float
    """Top-1 accuracy, in percent."""
    source: str
    """Which weights have it on which data, and who says so."""


def _usual_size() -> int:
    return IMAGE_SIZE


def _unpublished() -> None:
    return None


def _unchecked() -> None:
    return None


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
    build: "Callable[..., nn.Module]"
    """Build it with random weights. The only positional argument says whether to add auxiliary
    heads; keyword arguments are those of the name, as in ``NAME?width=2``."""
    has_aux: bool = False
    """Whether ``build(True)`` adds auxiliary heads, so that their parameters are counted too."""
    image_size: Callable[[], int | None] = _usual_size
    """Function that returns the height and width of the images that it is made for, in pixels, or
    None if it does not say. It may import what building imports."""
    requested_shape: Shape | None = None
    """The shape of images that ``NAME@PIXELS`` or ``NAME@CxHxW`` asks for; None without it."""
    accuracy: Callable[[], Accuracy | None] = _unpublished
    """Function that returns the accuracy published for it, with images of ``image_size``. It may
    import what building imports."""
    inputs: Callable[[int], object] = _images
    """Function that returns a batch of this size, if the network takes something else than RGB
    images: a tensor, a sequence of tensors for several positional arguments, or a mapping of
    tensors for keyword arguments, each with the batch as its first dimension. None if it takes
    images."""
    check: Callable[[], None] = _unchecked
    """Function that raises ``RequestError`` if there is evidently no such network. It is called
    before workers are started, and may read files but run no code of the user."""
    requires: tuple[str, ...] = ()
    """Libraries that it needs and that may not be installed; its cells are then skipped."""
    extra: str = ""
    """The extra of this package that installs them; empty for none."""
    imports: tuple[str, ...] = ()
    """Modules besides torch that building imports and that are safe to import before a fork."""
    lines: Callable[..., str] | None = None
    """Function that returns the lines of Python, with their imports, that build it as ``model``
    without this package; its keyword arguments are those of the name. None if they are not known:
    then it is built with this package."""
    code: tuple[str, ...] = ()
    """Top-level modules whose files are the network's own code; a change of one makes another run.
    Libraries are not among them: their versions are in the environment."""

    def accuracy_on(self, image_size: int | None) -> Accuracy | None:
        """Return the published accuracy, if its images are those that it was published for.

        ``image_size``: the size of all networks whose names do not say it; None for what each
        network is made for. Only a network with a published accuracy is asked for its own size,
        because that may run the user's code.
        """
        published, shape = self.accuracy(), self.requested_shape
        if published is None or (shape is None and image_size is None):
            return published
        size = self.image_size()
        is_usual = image_size == size if shape is None else shape == (RGB, size, size)
        return published if is_usual else None

    @property
    def missing(self) -> str:
        """Sentence on what is not installed and how to install it; empty if nothing is missing."""
        return optional.missing(self.name, self.requires, self.extra)


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
    requires: tuple[str, ...] = ()
    """Libraries that it needs and that may not be installed."""
    extra: str = ""
    """The extra of this package that installs them; empty for none."""
    names: Callable[[], Sequence[str]] = _no_names
    """The names that ``find`` takes; empty if they cannot be listed. They are looked through when a
    name is unknown, so listing them should import no torch."""
