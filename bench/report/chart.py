"""A chart: one Vega-Lite definition, for SVG in Markdown and alive in the page. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture of figures, and what a reader should see in it."""

    name: str
    """Of its file, and of its place in the page: lower case, with hyphens."""
    title: str
    caption: str
    """What it shows and how to read it, in a sentence or two; its text for who cannot see it."""
    spec: Mapping[str, Any]
    """Vega-Lite, the data in it, without colours of background or text: themes have those."""
