"""Energy per image, from the card's own energy counter, while one worker iterates.

The parent process reads the counter before and after a worker's iterations. So the workers do not
need NVML, and the other interpreter of a gate does not need nvidia-ml-py. Directly before and after
the iterations, the parent reads only this counter. It reads the rest of the card's state outside
the window, so that the card is not idle in it. Only the hand-over to and from the worker lies
between the counter readings and the iterations. Idle power is not subtracted, because an image
needs it too.
"""

from collections.abc import Collection

from bench.cells.cell import Cell
from bench.machine import voiding
from bench.machine.card import Around
from bench.records.reported import Setup
from bench.worker.protocol import Sustained

WINDOW_S = 2.0  # a window spans many updates of the driver's counter
LEAD_IN_S = 0.5  # time for the clocks to rise before the window begins


def facts(
    around: Around, sustained: Sustained, cell: Cell, allowed: Collection[int], set_index: int
) -> Setup:
    """Return the energy facts of a window, or the reasons why it is void.

    The result is empty if the card has no energy counter. ``allowed`` are the ids of other
    processes that may use the card.
    """
    if around.energy_j is None:
        return Setup()
    if reasons := voiding.card_reasons(around, allowed):
        return Setup(energy_voided=reasons)
    return Setup(
        energy_j=around.energy_j,
        energy_images=sustained.iterations * cell.batch_size,
        energy_wall_s=sustained.wall_s,
        energy_set=set_index,
    )
