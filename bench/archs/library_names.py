"""Names of the networks that a library registers, read in its files without importing it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# A function under this decorator is a network; further decorators may stand between them.
_REGISTERED = re.compile(r"^@register_model(?:\(\))?\n(?:(?!def ).*\n)*def (\w+)\(", re.MULTILINE)


def registered_functions(library: str) -> tuple[str, ...]:
    """Return the names of the functions under ``@register_model`` in ``<library>.models``.

    torchvision and timm use it for their classifiers. Empty if the library is not installed.
    Importing either takes seconds.
    """
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        return ()
    return _in_folder(Path(spec.origin).parent / "models")


@cache
def _in_folder(folder: Path) -> tuple[str, ...]:
    files = sorted(folder.glob("*.py"))
    return tuple(name for file in files for name in _REGISTERED.findall(file.read_text("utf-8")))
