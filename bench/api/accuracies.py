"""Accuracies of networks: those that the user states, and those that are published.

The user's own stand in ``[tool.googlenet-bench.accuracy]`` in pyproject.toml, in percent::

    [tool.googlenet-bench.accuracy]
    "my_module:my_net" = 76.4
    "torchvision:resnet18@160" = 65.1

or in a CSV file with the columns arch, accuracy and, if wanted, source. They count for exactly the
name that they are stated for, and replace what is published. The suite measures no accuracy.
"""

import csv
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bench import pyproject
from bench.archs.source import Accuracy
from bench.errors import RequestError
from bench.report.phrases import shortened_list

TABLE = "accuracy"
SOURCE = f"{pyproject.heading(TABLE)} of {pyproject.FILE}"
COLUMNS = ("arch", "accuracy")


def configured(folder: Path) -> Mapping[str, Accuracy]:
    """Return the accuracies in the pyproject.toml of the project of a folder, by arch.

    Raises ``RequestError`` if the file cannot be read or an accuracy is not a percentage.
    """
    root = pyproject.root(folder)
    table = pyproject.table(root, TABLE)
    where = f"{root / pyproject.FILE}, {pyproject.heading(TABLE)}"
    if not isinstance(table, dict):
        raise RequestError(f"{where}: expected NAME = PERCENT")
    return {
        name: Accuracy(percent=_percent(value, name, where), source=SOURCE)
        for name, value in table.items()
    }


def read_csv(path: Path) -> Mapping[str, Accuracy]:
    """Return the accuracies in a CSV file by arch; the default source is the file's name.

    Raises ``RequestError`` if the file cannot be read, lacks a column, or if a value is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"cannot read {path}: {error}") from error
    if missing := [name for name in COLUMNS if name not in columns]:
        raise RequestError(
            f"{path} has no column {' and no column '.join(missing)}; it needs arch and accuracy "
            "(in percent), and may have source"
        )
    accuracies: dict[str, Accuracy] = {}
    for row in rows:
        arch = (row["arch"] or "").strip()
        if arch in accuracies:
            raise RequestError(f"{path} has two accuracies of {arch!r}: remove one")
        percent = _percent(row["accuracy"], arch, str(path))
        accuracies[arch] = Accuracy(percent=percent, source=row.get("source") or path.name)
    return accuracies


def unused(own: Mapping[str, Accuracy], archs: Collection[str], where: str) -> str:
    """Say which names of ``own``, which are stated ``where``, are none of the archs.

    Each has the nearest arch that has no accuracy there. Empty if every name is an arch.
    """
    without = [arch for arch in archs if arch not in own]
    others = [name for name in own if name not in archs]
    if not others:
        return ""
    found = ((name, get_close_matches(name, without, n=1)) for name in others)
    hints = [f"{name} (did you mean {near[0]}?)" if near else name for name, near in found]
    # Those with a nearest name first, because only four are shown.
    hints.sort(key=lambda hint: not hint.endswith("?)"))
    names = shortened_list(hints)
    return f"{where} has accuracies that are not used, because no candidate has the name: {names}."


def _percent(value: Any, arch: str, where: str) -> float:
    """Return an accuracy as a number; raise ``RequestError`` unless it is a percentage."""
    try:
        percent = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise RequestError(
            f"{where}: the accuracy of {arch!r} is {value!r}, but must be a number (in percent)"
        ) from None
    if not 0 <= percent <= 100:
        raise RequestError(
            f"{where}: the accuracy of {arch!r} is {value}, but a percentage is from 0 to 100"
        )
    return percent
