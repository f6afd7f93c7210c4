"""Energy: what a card takes for an image, by its own counter, while one worker keeps it busy.

The process that measures reads the counter, before and after a worker's iterations: the workers
need no NVML then, and a gate's other interpreter no nvidia-ml-py. What lies between a reading and
the iterations, the rest of the reading and the hand-over, takes some milliseconds of two seconds.
Idle power is not subtracted: the image takes that too.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bench import voiding
from bench.card import Around
from bench.cell import Cell

WINDOW_S = 2.0  # a driver brings its counter up to date now and then: a window is many such times
LEAD_IN_S = 0.5  # the clocks rise before it begins


def facts(
    around: Around, done: Mapping[str, Any], cell: Cell, allowed: Collection[int]
) -> dict[str, Any]:
    """What a window showed of a cell; why it is void, or nothing where energy is not counted.

    ``done`` is what the worker says of it (bench/sustain.py), ``allowed`` who may be on the card.
    """
    if around.energy_j is None:
        return {}
    if reasons := voiding.of_card(around, allowed):
        return {"energy_voided": list(reasons)}
    return {
        "energy_j": around.energy_j,
        "energy_images": done["iterations"] * cell.batch_size,
        "energy_wall_s": done["wall_s"],
    }


def per_image_j(setups: Iterable[Mapping[str, Any]]) -> float | None:
    """Joules for an image, over the windows of all sets; None where there is none."""
    windows = [
        (setup["energy_j"], setup["energy_images"])
        for setup in setups
        if setup.get("energy_j") is not None
    ]
    images = sum(images for _, images in windows)
    return sum(joules for joules, _ in windows) / images if images else None
