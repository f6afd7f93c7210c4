"""The experiments, by name: what is started, and how it is visited."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from bench.engine.context import Progress
from bench.machine import environment
from bench.power.injection import arch
from bench.sharpness.live import Iteration, Way, alone, cell, rounds, workers
from bench.suite.profiles import MODES, REFERENCE_ARCH

DEFAULT = "default"
SPINS = (DEFAULT, "100000", "30000", environment.SPIN_COUNT, "3000")
ONE = Way(name="one", timed=1)
BLOCK = Way(name="block", raw=1, timed=6, pause_s=0.005)
LONG = Way(name="alone", raw=2, timed=20)
RAW = Way(name="raw", raw=6, timed=0)
AFTER_ONE = Way(name="second", raw=1, timed=1)
SHORT_PART_S = 2.5  # of two ways in turn, where drift is to hit both alike
PARTS = 2  # of an experiment's seconds: one way after the other, twice
FAST = ("torchvision:mobilenet_v3_small", "torchvision:squeezenet1_1", "torchvision:resnet18")
INJECTED = (arch("none", 0), arch("conv", 40))
# Two networks that differ: their places in memory may favour one of them.
PAIRS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "eager": INJECTED,
        "channels_last": INJECTED,
        "compile": (REFERENCE_ARCH, "googlenet"),
    }
)
SERVERS = 4


def spin(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """OpenMP's spin count, by visits of one iteration, blocks of six, and each worker alone."""
    drawn = random.Random(repetition)
    cells = [cell(REFERENCE_ARCH, mode) for mode in MODES for _ in range(2)]
    for count in drawn.sample(SPINS, len(SPINS)):
        about = {"experiment": "spin", "arm": count, "repetition": repetition}
        with workers(cells, spin=None if count == DEFAULT else count) as live:
            yield from alone(live, LONG, **about)
            for _ in range(PARTS):
                for way in (ONE, BLOCK):
                    yield from rounds(live, way, seconds / PARTS, drawn, **about)
        progress.advance(f"spin count {count}")


def first(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """What the first iterations of a visit cost above the rest, of networks fast and slow."""
    drawn = random.Random(repetition)
    cells = [cell(name, "eager") for name in (*FAST, REFERENCE_ARCH)]
    cells += [cell(name, "channels_last") for name in (FAST[0], REFERENCE_ARCH)]
    about = {"experiment": "first", "arm": "", "repetition": repetition}
    with workers(cells) as live:
        yield from rounds(live, RAW, 2 * seconds, drawn, **about)
    progress.advance("first iterations")


def dropped(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """What a dropped first iteration costs, between workers of one network that are neighbours."""
    drawn = random.Random(repetition)
    cells = [cell(REFERENCE_ARCH, mode) for mode in MODES for _ in range(2)]
    about = {"experiment": "dropped", "arm": "", "repetition": repetition}
    with workers(cells) as live:
        for _ in range(round(2 * seconds / (2 * SHORT_PART_S))):
            for way in drawn.sample((ONE, AFTER_ONE), 2):
                beside = replace(way, neighbours=True)
                yield from rounds(live, beside, SHORT_PART_S, drawn, **about)
    progress.advance("dropped iterations")


def processes(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """What processes differ by, and fork servers: all alive together, so that drift cancels."""
    drawn = random.Random(repetition)
    for mode, pair in PAIRS.items():
        about = {"experiment": "processes", "arm": mode, "repetition": repetition}
        cells = [cell(name, mode) for name in pair for _ in range(2)]
        with workers(cells, servers=SERVERS) as live:
            yield from rounds(live, AFTER_ONE, 4 * seconds, drawn, **about)
        progress.advance(f"processes in {mode}")


Experiment = Callable[[float, int, Progress], Iterator[Iteration]]
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {"spin": spin, "first": first, "dropped": dropped, "processes": processes}
)
STEPS: Mapping[str, int] = MappingProxyType(
    {"spin": len(SPINS), "first": 1, "dropped": 1, "processes": len(PAIRS)}
)
