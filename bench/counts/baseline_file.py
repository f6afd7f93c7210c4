"""The committed file of a baseline: how it is written, for reviewers, and how it is read.

Schema versions:

1. The first version. Counts by fvcore with this project's own tables.
2. Counts by PyTorch's ``FlopCounterMode``. ``versions`` has the counter, a cell has its uncounted
   operators, and fvcore's total may be null.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from bench import json_input, paths
from bench.atomic import write_text
from bench.counts.baseline import FVCORE, RULES, UNCOUNTED, Baseline, how_to_write
from bench.errors import RequestError

FORMAT = "googlenet-bench baseline"
SCHEMA_VERSION = 2


def write(baseline: Baseline, path: Path) -> None:
    """Write a baseline atomically: sorted, one count per line, so that a reviewer can read it."""
    content = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **asdict(baseline)}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read(path: Path, command: str = "") -> Baseline:
    """Read a baseline; raise ``RequestError`` if the file is not a valid one.

    ``command`` writes the baseline anew; the errors name it. Empty for the one that has only the
    path.
    """
    content = _content(path, command)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise RequestError(
            f"{path}: schema_version is {content.get('schema_version')!r}, but this "
            f"googlenet-bench reads {SCHEMA_VERSION}; {how_to_write(path, command)}"
        )
    try:
        baseline = msgspec.convert(content, Baseline)
    except msgspec.ValidationError as error:
        raise RequestError(f"{path} is damaged: {error}; {how_to_write(path, command)}") from error
    for cell, counts in baseline.cells.items():
        names = {name for name in counts if not name.startswith(UNCOUNTED)}
        if wrong := sorted(names ^ RULES.keys()):
            has = "has no" if wrong[0] in RULES else "has an unknown"
            raise RequestError(
                f"{path} is damaged: {cell} {has} {wrong[0]}; {how_to_write(path, command)}"
            )
        if null := {name for name, count in counts.items() if count is None} - {FVCORE}:
            first = min(null)
            raise RequestError(
                f"{path} is damaged: {first} of {cell} is null; {how_to_write(path, command)}"
            )
    return baseline


def check_replaceable(path: Path) -> None:
    """Raise ``RequestError`` if ``path`` exists and is not a baseline, of any schema version."""
    if not path.exists():
        return
    try:
        _content(path)
    except RequestError as error:
        raise RequestError(f"{error}; it is not overwritten") from error


def _content(path: Path, command: str = "") -> dict[str, Any]:
    """Return the JSON of a baseline, of any schema version."""
    try:
        content = json_input.cleaned(json_input.decode(paths.usable(path).read_bytes()))
    except FileNotFoundError as error:
        raise RequestError(f"there is no baseline {path}; {how_to_write(path, command)}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except json_input.JsonError as error:
        raise RequestError(f"{path} is damaged: {error}; {how_to_write(path, command)}") from error
    format_name = content.get("format") if isinstance(content, dict) else None
    if format_name != FORMAT:
        raise RequestError(
            f"{path} is not a googlenet-bench baseline: format is {format_name!r}, expected "
            f"{FORMAT!r}"
        )
    return dict(content)
