"""What a format of reports declares."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bench.report.section import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format: the files that it makes from a report."""

    name: str
    render: Callable[[Document], Mapping[str, str]]
    """Function that returns the text of each file, by its path in the report folder."""
    paths: Callable[[], Collection[str]]
    """Function that returns the path of every file that it may write. Those that an earlier run
    wrote and this run does not are removed."""
    mark: str = ""
    """Text that its files contain and files of other programs do not."""
