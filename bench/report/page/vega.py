"""Vega, the library that draws the charts, as one script that needs no network."""

import contextlib
import hashlib
import os
from functools import cache
from importlib.metadata import version

import vl_convert

from bench.atomic import write_text
from bench.machine.cache_folder import cache_folder


@cache
def bundled(snippet: str) -> str:
    """Return a module of Vega, Vega-Lite, Vega-Embed and ``snippet``, which uses ``vegaEmbed``.

    Vega-Embed includes Vega's expression interpreter, so a page that embeds charts with ``ast``
    does not need ``unsafe-eval``. Bundling takes 1.5 s of the 4 s of a report, so the result is
    cached on disk.
    """
    key = f"{version('vl-convert-python')} {snippet}"
    cached = cache_folder(os.environ) / f"vega-{hashlib.sha256(key.encode()).hexdigest()}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return cached.read_text(encoding="utf-8")
    source: str = vl_convert.javascript_bundle(snippet)
    with contextlib.suppress(OSError):  # without a writable cache, every report bundles again
        write_text(cached, source)
    return source
