"""A chart as plain data: one Vega-Lite definition for the SVG of the Markdown and for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart and the text that explains it."""

    name: str
    """Name of its file and of its place in the page, in lower case with hyphens."""
    title: str
    caption: str
    """What the chart shows and how to read it, in one or two sentences; also its alt text."""
    spec: Mapping[str, Any]
    """Vega-Lite specification with its data; colours of background and text come from the theme."""
    is_caption_repeated: bool = False
    """Whether an earlier chart of the report has the same caption, so that it need not be shown."""
    names: Sequence[str] = ()
    """Names to search for in the page. A chart with names has a parameter ``search``: a part of a
    name in lower case; empty if nothing is searched for."""
