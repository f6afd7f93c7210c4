"""Vega: what draws the charts, as one script that needs no network."""

import vl_convert


def bundled(snippet: str) -> str:
    """A module's source: Vega, Vega-Lite, Vega-Embed, and ``snippet``, which uses ``vegaEmbed``.

    Vega-Embed brings Vega's interpreter of expressions, so that a page that embeds with ``ast``
    needs no ``unsafe-eval``. Bundling takes seconds.
    """
    return vl_convert.javascript_bundle(snippet)
