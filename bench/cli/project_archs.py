"""The networks that the arguments of a command name, or else those of the project."""

import argparse
from dataclasses import replace
from pathlib import Path

from bench.api import project
from bench.api.measure_request import MeasureRequest
from bench.api.option import read_parsed
from bench.api.project import ARCHS_OF_PROJECT, Completed
from bench.archs import HOW_TO_NAME
from bench.errors import RequestError

SHARED = ("image_size", "input_shape")
"""The options of a run that such commands have too."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument(
        "arch", nargs="*", metavar="ARCH", help=f"{HOW_TO_NAME} (default: {ARCHS_OF_PROJECT})"
    )


def read(options: argparse.Namespace, *, also: tuple[str, ...] = ()) -> Completed:
    """Return the request that the options and the project's settings describe, with archs.

    ``also`` names further options that the settings supply. Raises ``RequestError`` if neither
    names an arch.
    """
    given = replace(read_parsed(MeasureRequest, options), archs=tuple(options.arch) or None)
    completed = project.complete(given, Path.cwd(), only=("archs", *SHARED, *also))
    if completed.request.archs is None:
        raise RequestError(f"no network is named: name one, or set {ARCHS_OF_PROJECT}")
    return completed
