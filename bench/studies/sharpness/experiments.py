"""The experiments by name: which workers each starts, and how it visits them."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from bench.api.profiles import MODES, REFERENCE_ARCH
from bench.engine.progress import Progress
from bench.machine import pinned
from bench.studies.power.injection import arch
from bench.studies.sharpness.live import Iteration, Way, alone, cell, rounds, workers

DEFAULT = "default"
SPINS = (DEFAULT, "100000", "30000", pinned.SPIN_COUNT, "3000")
ONE = Way(name="one", timed=1)
BLOCK = Way(name="block", raw=1, timed=6, pause_s=0.005)
LONG = Way(name="alone", raw=2, timed=20)
RAW = Way(name="raw", raw=6, timed=0)
AFTER_ONE = Way(name="second", raw=1, timed=1)
SHORT_PART_S = 2.5  # of two ways in turn, short so that drift affects both alike
PARTS = 2  # of an experiment's seconds; each part visits all ways, one after the other
FAST = ("torchvision:mobilenet_v3_small", "torchvision:squeezenet1_1", "torchvision:resnet18")
INJECTED = (arch("none", 0), arch("conv", 40))
# Pairs of different networks, because their places in memory may favour one of them.
PAIRS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "eager": INJECTED,
        "channels_last": INJECTED,
        "compile": (REFERENCE_ARCH, "googlenet"),
    }
)
SERVERS = 4


def spin(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """Vary OpenMP's spin count; visit one iteration, blocks of six, and each worker alone."""
    generator = random.Random(repetition)
    cells = [cell(REFERENCE_ARCH, mode) for mode in MODES for _ in range(2)]
    for count in generator.sample(SPINS, len(SPINS)):
        labels = {"experiment": "spin", "arm": count, "repetition": repetition}
        with workers(cells, spin=None if count == DEFAULT else count) as live:
            yield from alone(live, LONG, **labels)
            for _ in range(PARTS):
                for way in (ONE, BLOCK):
                    yield from rounds(live, way, seconds / PARTS, generator, **labels)
        progress.advance(f"spin count {count}")


def first(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """Measure the extra time of the first iterations of a visit, for fast and slow networks."""
    generator = random.Random(repetition)
    cells = [cell(name, "eager") for name in (*FAST, REFERENCE_ARCH)]
    cells += [cell(name, "channels_last") for name in (FAST[0], REFERENCE_ARCH)]
    labels = {"experiment": "first", "arm": "", "repetition": repetition}
    with workers(cells) as live:
        yield from rounds(live, RAW, 2 * seconds, generator, **labels)
    progress.advance("first iterations")


def dropped(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """Measure the cost of a dropped first iteration, between neighbours with one network."""
    generator = random.Random(repetition)
    cells = [cell(REFERENCE_ARCH, mode) for mode in MODES for _ in range(2)]
    labels = {"experiment": "dropped", "arm": "", "repetition": repetition}
    with workers(cells) as live:
        for _ in range(round(2 * seconds / (2 * SHORT_PART_S))):
            for way in generator.sample((ONE, AFTER_ONE), 2):
                neighbours = replace(way, neighbours=True)
                yield from rounds(live, neighbours, SHORT_PART_S, generator, **labels)
    progress.advance("dropped iterations")


def processes(seconds: float, repetition: int, progress: Progress) -> Iterator[Iteration]:
    """Measure how processes and fork servers differ; all are alive together, so drift cancels."""
    generator = random.Random(repetition)
    for mode, pair in PAIRS.items():
        labels = {"experiment": "processes", "arm": mode, "repetition": repetition}
        cells = [cell(name, mode) for name in pair for _ in range(2)]
        with workers(cells, servers=SERVERS) as live:
            yield from rounds(live, AFTER_ONE, 4 * seconds, generator, **labels)
        progress.advance(f"processes in {mode}")


Experiment = Callable[[float, int, Progress], Iterator[Iteration]]
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {"spin": spin, "first": first, "dropped": dropped, "processes": processes}
)
STEPS: Mapping[str, int] = MappingProxyType(
    {"spin": len(SPINS), "first": 1, "dropped": 1, "processes": len(PAIRS)}
)
