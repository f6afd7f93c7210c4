"""The replies of a worker that times and counts the parts of its network. Needs no torch."""

from bench.worker.protocol import Reply


class PartMacs(Reply, frozen=True, kw_only=True):
    """MACs of a stage, or of one of its branches."""

    stage: str
    branch: str
    macs: int


class StageMacs(Reply, frozen=True, kw_only=True):
    """MACs of a network for one image, of the whole and of each part."""

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
