"""The project's settings: ``[tool.googlenet-bench]`` in the ``pyproject.toml`` of its root.

For example::

    [tool.googlenet-bench]
    archs = ["nets/small.py:build", "torchvision:resnet18"]
    modes = ["eager", "compile"]
    input-shape = "1x28x28"

    [tool.googlenet-bench.gate]
    modes = ["eager"]
    delta = 0.05

    [[tool.googlenet-bench.gate.exceptions]]
    cells = "nets/small.py:build*/compile/*"
    delta = 0.10
    reason = "the new pooling costs 7 % until it is fused"
    expires = 2027-03-31
"""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench import paths, pyproject
from bench.api import values
from bench.api.measure_request import MeasureRequest
from bench.errors import RequestError
from bench.gate import group_sequential
from bench.gate.exceptions import Waiver
from bench.pyproject import FILE

GATE = "gate"
ARCHS_OF_PROJECT = f"archs of {pyproject.heading()} in {FILE}"
SIZES = frozenset({"image_size", "input_shape"})
"""Fields of which a table has one at most: the shape takes precedence over the size."""

_Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Selection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """What is measured, in options' words; None if the file does not say it."""

    archs: _Names | None = None
    modes: _Names | None = None
    dtypes: _Names | None = None
    batch_sizes: Annotated[tuple[_Positive, ...], msgspec.Meta(min_length=1)] | None = None
    tasks: _Names | None = None
    image_size: _Positive | None = None
    """Height and width of the images in pixels."""
    input_shape: str | tuple[int, int, int] | None = None
    """Channels, height and width, as ``CxHxW`` or as three numbers."""
    foreign_cpus: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        """Raise ``RequestError`` for an invalid shape, or a size beside it.

        msgspec adds the table to the message.
        """
        if self.input_shape is None:
            return
        values.shape(self.input_shape, "input-shape")
        if self.image_size is not None:
            raise RequestError("image-size and input-shape cannot be combined: remove one")


FIELDS = Selection.__struct_fields__


class GateTable(Selection, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The settings of gates, which override those of the project."""

    delta: float = group_sequential.LEAST_EFFECT
    alpha: float = group_sequential.ALPHA
    most_sets: int = group_sequential.MOST_SETS
    budget: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time after which no new round begins, in seconds, as ``--budget``."""
    exceptions: tuple[Waiver, ...] = ()


class Project(Selection, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The settings of a project."""

    baseline: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """File of the exact counts, relative to the project's root."""
    history: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """File of the history, relative to the project's root, or a URL (bench/api/history.py)."""
    gate: GateTable = GateTable()
    accuracy: dict[str, Any] = {}
    """Settings of accuracy; this module does not read them."""

    def __post_init__(self) -> None:
        """Raise ``RequestError`` also for a path that no file can have."""
        super().__post_init__()
        for path in filter(None, (self.baseline, self.history)):
            if "://" not in path:
                paths.usable(path)

    @property
    def for_gate(self) -> GateTable:
        """The gate's settings, with the project's selection where they have none.

        A size or shape of the gate replaces both of the project.
        """
        own = {name for name in FIELDS if getattr(self.gate, name) is not None}
        if own & SIZES:
            own |= SIZES
        inherited = {name: getattr(self, name) for name in FIELDS if name not in own}
        return msgspec.structs.replace(self.gate, **inherited)


def read(root: Path) -> Project:
    """Return the settings of the project at ``root``, with defaults if its file has none.

    Raises ``RequestError``, with the file, the table and the key, for an unknown key or an invalid
    value.
    """
    try:
        return msgspec.convert(pyproject.table(root), Project)
    except msgspec.ValidationError as error:
        raise RequestError(f"{root / FILE}, {_explained(str(error))}") from error


def _explained(error: str) -> str:
    """Return an error of msgspec with the table and the key instead of its path.

    TOML has no null.
    """
    message, _, place = error.replace(" | null", "").partition(" - at `$")
    first, _, rest = place.strip(".`").partition(".")
    names, key = ((GATE,), rest) if first == GATE else ((), place.strip(".`"))
    return f"{pyproject.heading(*names)}{f', {key}' if key else ''}: {message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A request with the project's values for the options that are not given."""

    request: MeasureRequest
    folder: Path
    """The folder in which relative files and modules of networks are looked up."""


def complete(request: MeasureRequest, current: Path, only: Collection[str] = FIELDS) -> Completed:
    """Complete a request with the settings of the project of the folder ``current``.

    ``only``: the fields that the command has. Raises ``RequestError`` if the settings are invalid.
    """
    root = pyproject.root(current)
    table = read(root)
    return Completed(
        request=fill(request, table, only),
        folder=folder_of_files(request, table, root=root, current=current),
    )


def folder_of_files(
    request: MeasureRequest, table: Selection, *, root: Path, current: Path
) -> Path:
    """Return the folder in which relative files and modules of networks are looked up.

    It is the project's root for networks of its settings, and otherwise the folder ``current``.
    """
    is_of_table = request.archs is None and not request.profile and table.archs is not None
    return root if is_of_table else current


def fill(
    request: MeasureRequest, table: Selection, only: Collection[str] = FIELDS
) -> MeasureRequest:
    """Return a request with the project's values for the options that are not given.

    If the request names a profile, that says what is measured, and not the project. ``only``: the
    fields that may be filled.
    """
    ignored = set(FIELDS) - ({"foreign_cpus"} if request.profile else set(only))
    if request.image_size is not None:
        ignored.add("input_shape")  # the shape would take precedence over the given size
    found = {
        name: getattr(table, name)
        for name in FIELDS
        if name not in ignored and getattr(request, name) is None
    }
    if found.get("input_shape") is not None:
        found["input_shape"] = values.shape(found["input_shape"], "input-shape")
    return replace(request, **found)


def baseline_path(table: Project, root: Path) -> Path | None:
    """Return the file of the counts, relative to the current folder; None if none is set."""
    return None if table.baseline is None else Path(os.path.relpath(root / table.baseline))
