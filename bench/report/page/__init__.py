"""The HTML page: ``report.html``, one file that works from disk without network or server.

``bench/history/page/`` makes the page of a history from the same parts.
"""

import re
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

import bench
from bench.report import frame, opening, summary
from bench.report.page import still, vega
from bench.report.page.table import PageTable, plain
from bench.report.section import Document, Sheet

# ``</script`` ends a script element anywhere, and ``<!--`` changes what ends it.
_ENDS_SCRIPT = re.compile(r"<(?=/script|!--)", re.IGNORECASE)


def render(document: Document) -> str:
    """Return the page of a run as HTML.

    Text from the run is escaped, never interpreted as HTML. Raises ``ValueError`` if a chart's data
    contains a number that JSON does not support.
    """
    return _render(
        document,
        cells=PageTable.from_run(document.run, frame.summary(document.run)),
        failed=len(frame.failures(document.run)),
    )


def render_sheet(sheet: Sheet) -> str:
    """Return a page without a table of cells as HTML, with the same guarantees as ``render``."""
    return _render(sheet, cells=PageTable.empty(), failed=0)


def _render(sheet: Sheet, *, cells: PageTable, failed: int) -> str:
    return _TEMPLATES.get_template("page.html.jinja").render(
        version=bench.__version__,
        document=sheet,
        failed=failed,
        cells=cells,
        charts_at_once=opening.NAMED,
        most_columns=summary.MOST_COLUMNS,
        css=_read("page.css"),
        page_js=_script(_read("page.js")),
        charts_js=_script(vega.bundled(_read("charts.js"))) if sheet.charts else "",
    )


def _paragraphs(text: str) -> list[str]:
    return text.strip().split("\n\n")


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Return JavaScript that is safe in a script element: no text in it can close the element."""
    return _ENDS_SCRIPT.sub(r"\\x3c", source)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = _paragraphs
    environment.filters["plain"] = plain
    environment.filters["still"] = still.inline
    environment.filters["kind"] = lambda block: type(block).__name__
    # The output of tojson is safe in a script element. A number that JSON lacks is an error.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "sort_keys": False}
    return environment


_TEMPLATES = _environment()
