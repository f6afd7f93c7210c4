"""The card: what a report says of the CUDA devices of a run, and what they did meanwhile."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.energy import per_image_j
from bench.machine import voiding
from bench.machine.card import POWER_CAP, Around, CardReading
from bench.records.record import Round, RunRecord

_HZ, _WATTS, _PLAIN = 1e-6, 1.0, 1.0
_WRITTEN: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "uuid": ("UUID", str),
    "mig": ("divided by MIG", lambda is_on: "yes" if is_on else "no"),
    "mps_seen": ("MPS", lambda is_seen: "there is a sign of it" if is_seen else "no sign of it"),
    "persistence": ("persistence mode", lambda is_on: "on" if is_on else "off"),
    "compute_mode": ("compute mode", str),
    "power_limit_w": ("power limit", "{:,.0f} W".format),
    "most_sm_hz": ("highest SM clock", lambda hertz: f"{hertz * _HZ:,.0f} MHz"),
    "most_memory_hz": ("highest memory clock", lambda hertz: f"{hertz * _HZ:,.0f} MHz"),
}
_SEEN: tuple[tuple[str, Callable[[CardReading], float | None], float, str], ...] = (
    ("SM clock between rounds", lambda reading: reading.sm_hz, _HZ, "MHz"),
    ("memory clock between rounds", lambda reading: reading.memory_hz, _HZ, "MHz"),
    ("temperature between rounds", lambda reading: reading.temperature_c, _PLAIN, "°C"),
    ("power between rounds", lambda reading: reading.power_w, _WATTS, "W"),
)
UNTOLD = "not told"


def facts(run: RunRecord) -> dict[str, object]:
    """What is known of each card, and the ranges of what was seen of it around the rounds."""
    return {
        f"{device}: {name}": value
        for device, about in _cards(run).items()
        for name, value in _facts(about, _rounds(run, device)).items()
    }


def notes(run: RunRecord) -> Iterator[str]:
    """What a reader must know of a card, in sentences."""
    for device, about in _cards(run).items():
        if "unknown" in about:
            yield (
                f"The state of {device} is not known: {about['unknown']}. So no round was voided "
                "for its temperature, or for others on it."
            )
            continue
        if about.get("mig"):
            yield (
                f"{device} is an instance of a card that MIG has divided: its clocks and its "
                "temperature are the whole card's, whoever else uses it."
            )
        if about.get("mps_seen"):
            yield f"There was a sign of NVIDIA's Multi-Process Service beside {device}."
        capped = [found for found in _around(_rounds(run, device)) if POWER_CAP in found.throttling]
        if capped:
            yield (
                f"{device} was at its power limit in {len(capped)} rounds, which count: it is a "
                "part of what the card can do, and no part of a network."
            )
    yield from _energy_notes(run)


def warnings(run: RunRecord) -> Iterator[str]:
    """Sentences that must stand above the tables."""
    for device, others in run.shared.items():
        yield (
            f"{device} was shared: {'; '.join(others)}. The figures are of what was left of it "
            "(--allow-shared)."
        )


def _energy_notes(run: RunRecord) -> Iterator[str]:
    """Where figures of energy that were asked for are missing, and why."""
    known = [about for about in _cards(run).values() if "unknown" not in about]
    if not run.plan.get("energy") or not known:
        return
    measured = [record for record in run.cells if record.has_figures]
    if all(per_image_j(record.setups).sets == 0 for record in measured):
        yield (
            "No energy was measured: its counter is the whole card's, and says nothing where MIG "
            "has divided the card or others are on it; some cards have none."
        )
    for record in measured:
        voided = [setup["energy_voided"] for setup in record.setups if setup.get("energy_voided")]
        if voided:
            names = {name for reasons in voided for name in reasons}
            yield (
                f"{record.cell.id}: {len(voided)} of its windows of energy are void, because "
                f"{voiding.in_words(sorted(names))}."
            )


def voided_by(rounds: Iterable[Round], reason: str) -> int:
    """How many rounds are void for a reason, or for it too."""
    return sum(reason in _reasons(found) for found in rounds)


def why_void(rounds: Iterable[Round]) -> str:
    """The reasons for which any of the rounds is void, in words."""
    names = {name for found in rounds for name in _reasons(found)} or {voiding.FOREIGN_CPUS}
    return voiding.in_words(name for name in voiding.WORDS if name in names)


def _reasons(found: Round) -> tuple[str, ...]:
    """Of a file in which none is said: foreign load was the only one."""
    return (found.reasons or (voiding.FOREIGN_CPUS,)) if found.voided else ()


def _cards(run: RunRecord) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = run.environment.get("cards") or {}
    return found


def _rounds(run: RunRecord, device: str) -> list[Round]:
    """Those on a device: the last part of a group's name, or where there are several the set's."""
    several = run.plan.get("devices") or ()
    return [
        found
        for found in run.rounds
        if device
        == (several[found.set_index % len(several)] if several else found.group.rpartition("/")[2])
    ]


def _around(rounds: Iterable[Round]) -> list[Around]:
    return [found.card for found in rounds if found.card is not None]


def _facts(about: Mapping[str, Any], rounds: Sequence[Round]) -> dict[str, object]:
    if "unknown" in about:
        return {"state": f"not known: {about['unknown']}"}
    told: dict[str, object] = {
        heading: UNTOLD if about.get(name) is None else write(about[name])
        for name, (heading, write) in _WRITTEN.items()
    }
    around = _around(rounds)
    readings = [reading for found in around for reading in (found.before, found.after)]
    seen = {
        name: _range([value for value in map(read, readings) if value is not None], scale, unit)
        for name, read, scale, unit in _SEEN
    }
    return {**told, **seen, "slowed down": _throttling(around)} if around else told


def _range(values: Sequence[float], scale: float, unit: str) -> str:
    if not values:
        return UNTOLD
    low, high = (f"{value * scale:,.0f}" for value in (min(values), max(values)))
    return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


def _throttling(around: Sequence[Around]) -> str:
    """In how many rounds by which reason, and for how long together where that is counted."""
    parts = []
    for name in sorted({name for found in around for name in found.throttling}):
        within = [found for found in around if name in found.throttling]
        seconds = sum(found.throttled_s.get(name, 0.0) for found in within)
        counted = f" ({seconds:.2f} s)" if any(name in f.throttled_s for f in within) else ""
        parts.append(f"{name.replace('_', ' ')} in {len(within)} of {len(around)} rounds{counted}")
    if parts:
        return ", ".join(parts)
    is_told = any(f.after.reasons is not None or f.after.throttled_s is not None for f in around)
    return "never" if is_told else UNTOLD
