"""The still picture of a chart: SVG inside the page, for print and browsers without JavaScript."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from bench.report.chart import Chart
from bench.report.charts import style

CLASS = "still"
# The page's style has the font, and the element around the picture has its role and description.
_LEFT_OUT = re.compile("aria-.*|role|class|font-family|pointer-events|version")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inline(chart: Chart) -> str:
    """Return the chart's SVG as an element of the page, with all text escaped.

    Grey text and lines get the colour of the element around them, which has enough contrast with a
    light and a dark background. Ids begin with the chart's name, because all charts share the page.
    """
    root = ElementTree.fromstring(style.svg(chart))  # noqa: S314 - our own
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows SVG without its namespace
        element.attrib = dict(_attributes(element, chart.name))
        for child in [child for child in element if child.get("display") == "none"]:
            element.remove(child)
    root.set("class", CLASS)
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(element: Element, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name == "id":
            yield name, f"{prefix}-{value}"
        elif value == style.GREY:
            yield name, "currentColor"
        elif not _LEFT_OUT.fullmatch(name):
            yield name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
