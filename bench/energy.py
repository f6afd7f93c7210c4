"""Energy: what a card takes for an image, by its own counter, while one worker iterates.

The process that measures reads the counter, before and after a worker's iterations: the workers
need no NVML then, and a gate's other interpreter no nvidia-ml-py. Next to the iterations it reads
that counter alone, and what else is to be known of the card further out, where reading it leaves
the card idle in no window. What lies between the counter and the iterations is the hand-over.
Idle power is not subtracted: the image takes that too.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bench import stats
from bench.cells.cell import Cell
from bench.machine import voiding
from bench.machine.card import Around
from bench.means import Interval

WINDOW_S = 2.0  # a driver brings its counter up to date now and then: a window is many such times
LEAD_IN_S = 0.5  # the clocks rise before it begins


def facts(
    around: Around, done: Mapping[str, Any], cell: Cell, allowed: Collection[int], set_index: int
) -> dict[str, Any]:
    """What a window showed of a cell; why it is void, or nothing where energy is not counted.

    ``done`` is what the worker says of it (bench/worker/sustain.py), ``allowed`` are those who may
    be on the card.
    """
    if around.energy_j is None:
        return {}
    if reasons := voiding.of_card(around, allowed):
        return {"energy_voided": list(reasons)}
    return {
        "energy_j": around.energy_j,
        "energy_images": done["iterations"] * cell.batch_size,
        "energy_wall_s": done["wall_s"],
        "energy_set": set_index,
    }


def per_image_j(setups: Iterable[Mapping[str, Any]]) -> Interval:
    """Joules for an image: the geometric mean over the sets; ``NOTHING`` where there is none.

    A set's is the median over its windows, of which a cell that rides in several waves has more
    than one. Where a file does not say which set a window is of, each is of its own.
    """
    return stats.over_sets(
        {
            (setup.get("energy_set", index), index, 0): math.log(
                setup["energy_j"] / setup["energy_images"]
            )
            for index, setup in enumerate(setups)
            if setup.get("energy_j") and setup["energy_images"]
        }
    )
