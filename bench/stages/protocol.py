"""Requests and replies of a worker that counts and times parts of its network. Needs no torch."""

from bench.archs.source import Shape
from bench.worker.protocol import Reply, Request


class PartMacs(Reply, frozen=True, kw_only=True):
    """MACs of a stage, or of one of its branches."""

    stage: str
    branch: str
    macs: int


class StageMacs(Reply, frozen=True, kw_only=True):
    """MACs of a network for one image, of the whole and of each part."""

    image_size: int | None
    """Height and width of the image in pixels; None for other inputs."""
    whole: int
    parts: tuple[PartMacs, ...]


class PartSeconds(Reply, frozen=True, kw_only=True):
    """Seconds of a stage, or of one of its branches, per iteration."""

    stage: str
    branch: str
    seconds: tuple[float, ...]


class StageSeconds(Reply, frozen=True, kw_only=True):
    """Seconds of forward passes per iteration: without hooks, with hooks, and of each part."""

    whole_s: tuple[float, ...]
    hooked_s: tuple[float, ...]
    pair_s: float
    """Overhead of a pair of hooks, in seconds."""
    parts: tuple[PartSeconds, ...]


class CountStages(Request[StageMacs], frozen=True, kw_only=True, tag="stage_macs"):
    """Count an arch's MACs for one random image: of the whole, and of each stage and branch."""

    arch: str
    image_size: int | None
    """Height and width of the image in pixels; None for what the network is made for."""
    input_shape: Shape | None = None
    """Channels, height and width of the image of a network that does not say what it takes."""
    seed: int


class TimeStages(Request[StageSeconds], frozen=True, kw_only=True, tag="stages"):
    """Time forward passes without hooks, with hooks on stages and with hooks on branches."""

    iterations: int
    seed: int
