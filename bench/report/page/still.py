"""The still picture of a chart as HTML: inside the page, or as an image on its own."""

import base64
import html
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


def image(chart: Chart) -> str:
    """Return the chart's SVG as an image with its title and its caption, for any HTML.

    Unlike elements of SVG, an image shares no ids with the charts of other runs beside it.
    """
    data = base64.b64encode(style.svg(chart).encode()).decode()
    title, caption = html.escape(chart.title), html.escape(chart.caption)
    return (
        f"<figure><figcaption><strong>{title}</strong><br>{caption}</figcaption>"
        f'<img alt="{caption}" src="data:image/svg+xml;base64,{data}"></figure>'
    )


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
