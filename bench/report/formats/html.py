"""HTML: one page that works from disk without network or server (bench/report/page/)."""

from collections.abc import Mapping

from bench.report.formats.format import Format
from bench.report.section import Document

FILE = "report.html"


def render(document: Document) -> Mapping[str, str]:
    """Return the page."""
    from bench.report import page  # jinja2 and the bundle of the charts take a while to import

    return {FILE: page.render(document)}


HTML = Format(
    name="html",
    render=render,
    paths=lambda: [FILE],
    mark='<meta name="generator" content="googlenet-bench',
)
