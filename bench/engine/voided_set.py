"""A voided set: one without a valid round, after which a run ends, and what its user can do."""

import math
from collections.abc import Sequence
from statistics import fmean

from bench.machine import voiding
from bench.machine.busiest import Busiest
from bench.records.record import ENDED_EARLY, Round
from bench.units import counted

MARGIN = 1.1  # chosen: --foreign-cpus this many times what was seen, rounded up to a tenth
_WAIT = {
    voiding.OVERHEATED: "Wait until the card has cooled down, or improve its cooling.",
    voiding.FOREIGN_DEVICE: "Wait until the other processes on the card end.",
}


def is_voided(rounds: Sequence[Round]) -> bool:
    """Return whether a set has rounds, and all of them were voided."""
    return bool(rounds) and all(round_.voided for round_ in rounds)


def is_for_load(rounds: Sequence[Round]) -> bool:
    """Return whether foreign load voided any of these voided rounds."""
    return voiding.FOREIGN_CPUS in _reasons(rounds)


def sentence(
    rounds: Sequence[Round], set_index: int, allowed_cpus: float, busiest: Busiest | None
) -> str:
    """Return what happened, why, and what to do; ``busiest`` is None if load is not a reason."""
    of_set = f"of set {set_index + 1}"
    what = (
        f"the only round {of_set} was voided"
        if len(rounds) == 1
        else f"all {counted(len(rounds), 'round')} {of_set} were voided"
    )
    reasons = _reasons(rounds)
    whys = [voiding.WORDS[name] for name in reasons if name != voiding.FOREIGN_CPUS]
    advice = [_WAIT[name] for name in reasons if name in _WAIT]
    if busiest is not None:
        loads = [each.foreign_cpus for each in rounds if is_for_load([each])]
        whys.insert(
            0,
            f"{voiding.load(fmean(loads), allowed_cpus)}; the busiest of them now, with the CPUs "
            f"that each uses: {busiest}",
        )
        seen = max(*loads, sum(process.cpus for process in busiest.processes))
        enough = math.ceil(seen * MARGIN * 10) / 10
        advice.insert(
            0,
            f"Wait until they end, or accept less certain figures with --foreign-cpus {enough:g}.",
        )
    return f"{ENDED_EARLY}{what}: {'; '.join(whys)}. {' '.join(advice)}"


def _reasons(rounds: Sequence[Round]) -> tuple[str, ...]:
    """Return why rounds were voided, each reason once; foreign load if a round has no reason."""
    names = (name for round_ in rounds for name in round_.reasons or (voiding.FOREIGN_CPUS,))
    return tuple(dict.fromkeys(names))
