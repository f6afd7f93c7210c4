"""The requests to the counting process. Needs no torch."""

from bench.archs.source import Shape
from bench.cells.cell import Cell
from bench.counts.baseline import Counts
from bench.worker.protocol import Request


class CountNetworks(Request[dict[str, Counts]], frozen=True, kw_only=True, tag="count_networks"):
    """Count the parameters, operations and bytes of the cells' networks, by cell id."""

    cells: tuple[Cell, ...]
    image_size: int | None
    """Height and width of the images in pixels; None for what each network is made for."""
    input_shape: Shape | None = None
    """Channels, height and width of the images of networks that do not say what they take."""


class CountGraphs(Request[dict[str, Counts]], frozen=True, kw_only=True, tag="count_graphs"):
    """Count the graphs and graph breaks of the cells, by cell id."""

    cells: tuple[Cell, ...]
    image_size: int | None
    input_shape: Shape | None = None
