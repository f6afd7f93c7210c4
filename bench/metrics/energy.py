"""Energy per image; only CUDA devices have a counter for it."""

from bench import stats
from bench.columns import joules
from bench.metrics.metric import Better, Metric, Place, always
from bench.records.record import RunRecord


def _has_energy(run: RunRecord) -> bool:
    return any(stats.energy_per_image_j(record.setups).sets for record in run.cells)


ENERGY = Metric(
    name="energy_per_image_j",
    unit="J",
    heading="J/image",
    compute=lambda cell: stats.energy_per_image_j(cell.record.setups),
    write=joules,
    explanation="The energy of the whole card, by its own counter, divided by the number of "
    "images, while one worker alone runs iterations for 2 s with no wait between them: the "
    "geometric mean over the sets. Idle power is not subtracted; it is a large part of the energy "
    "of a launch-bound cell. The L2 cache is not emptied between iterations.",
    better=Better.LESS,
    bounded=always,
    applies=_has_energy,
    places={Place.SUMMARY},
    rank=3,
    order=600,
)
