"""Vega: what draws the charts, as one script that needs no network."""

import contextlib
import hashlib
import os
from functools import cache
from importlib.metadata import version

import vl_convert

from bench.atomic import write_text
from bench.machine.environment import cache_folder


@cache
def bundled(snippet: str) -> str:
    """A module's source: Vega, Vega-Lite, Vega-Embed, and ``snippet``, which uses ``vegaEmbed``.

    Vega-Embed brings Vega's interpreter of expressions, so that a page that embeds with ``ast``
    needs no ``unsafe-eval``. Bundling takes 1.5 s of the 4 s of a report, so it is kept on disk.
    """
    whole = f"{version('vl-convert-python')} {snippet}"
    kept = cache_folder(os.environ) / f"vega-{hashlib.sha256(whole.encode()).hexdigest()}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    source: str = vl_convert.javascript_bundle(snippet)
    with contextlib.suppress(OSError):  # a home that cannot be written costs the time again
        write_text(kept, source)
    return source
