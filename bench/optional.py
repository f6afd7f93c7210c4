"""Optional libraries: whether they are installed, and how to install them."""

import importlib.util
from collections.abc import Iterable


def missing(what: str, modules: Iterable[str], extra: str = "") -> str:
    """Say what ``what`` needs that is not installed; an empty string if nothing is missing.

    ``extra`` is the extra of this package that installs it. Only parent packages are imported.
    """
    absent = [module for module in modules if not _is_installed(module)]
    if not absent:
        return ""
    how = f'pip install "googlenet-bench[{extra}]"' if extra else "install it with pip"
    return f"{what} needs {', '.join(absent)}, which is not installed: {how}"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:  # noqa: BLE001 - a parent package is missing or fails
        return False
