"""The CUDA devices of a run: their properties, and their state while the run was measured."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.machine import voiding
from bench.machine.card import POWER_CAP, Around, CardReading
from bench.machine.environment import CardFacts
from bench.records.record import Round, RunRecord
from bench.stats import energy_per_image_j
from bench.units import counted

_HZ, _WATTS, _PLAIN = 1e-6, 1.0, 1.0
_PROPERTIES: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "uuid": ("UUID", str),
    "mig": ("MIG", lambda is_on: "on" if is_on else "off"),
    "mps_seen": ("MPS", lambda is_seen: "detected" if is_seen else "not detected"),
    "persistence": ("persistence mode", lambda is_on: "on" if is_on else "off"),
    "compute_mode": ("compute mode", str),
    "power_limit_w": ("power limit", "{:,.0f} W".format),
    "most_sm_hz": ("highest SM clock", lambda hertz: f"{hertz * _HZ:,.0f} MHz"),
    "most_memory_hz": ("highest memory clock", lambda hertz: f"{hertz * _HZ:,.0f} MHz"),
}
_READINGS: tuple[tuple[str, Callable[[CardReading], float | None], float, str], ...] = (
    ("SM clock between rounds", lambda reading: reading.sm_hz, _HZ, "MHz"),
    ("memory clock between rounds", lambda reading: reading.memory_hz, _HZ, "MHz"),
    ("temperature between rounds", lambda reading: reading.temperature_c, _PLAIN, "°C"),
    ("power between rounds", lambda reading: reading.power_w, _WATTS, "W"),
)
UNKNOWN = "unknown"


def facts(run: RunRecord) -> dict[str, object]:
    """Return the properties of each card, and the ranges of its readings around the rounds."""
    return {
        f"{device}: {name}": value
        for device, card_facts in run.environment.cards.items()
        for name, value in _facts(card_facts, _rounds(run, device)).items()
    }


def notes(run: RunRecord) -> Iterator[str]:
    """Yield sentences about the cards that a reader needs to interpret the figures."""
    for device, card_facts in run.environment.cards.items():
        if card_facts.unknown is not None:
            yield (
                f"The state of {device} is unknown: {card_facts.unknown}. Therefore no round "
                "was voided because of its temperature or because of other processes on it."
            )
            continue
        if card_facts.mig:
            yield (
                f"{device} is a MIG instance: its clocks and its temperature are those of the "
                "whole card, which other processes may use."
            )
        if card_facts.mps_seen:
            yield f"NVIDIA's Multi-Process Service was detected on {device}."
        capped = [state for state in _around(_rounds(run, device)) if POWER_CAP in state.throttling]
        if capped:
            yield (
                f"{device} was at its power limit in {counted(len(capped), 'round')}. Such rounds "
                "count, because the limit is a property of the card and not of a network."
            )
    yield from _energy_notes(run)


def warnings(run: RunRecord) -> Iterator[str]:
    """Yield the sentences that must appear above the tables."""
    for device, users in run.shared.items():
        yield (
            f"{device} was shared with: {'; '.join(users)}. The figures show only the share of it "
            "that was left (--allow-shared)."
        )


def _energy_notes(run: RunRecord) -> Iterator[str]:
    """Explain why energy figures are missing, if the run was to measure energy."""
    cards = run.environment.cards
    known = [card_facts for card_facts in cards.values() if card_facts.unknown is None]
    if not run.plan.energy or not known:
        return
    measured = [record for record in run.cells if record.has_figures]
    if all(energy_per_image_j(record.setups).sets == 0 for record in measured):
        yield (
            "No energy was measured. The counter covers the whole card, so it cannot be used with "
            "MIG or when other processes are on the card; some cards have no counter."
        )
    for record in measured:
        voided = [setup.energy_voided for setup in record.setups if setup.energy_voided]
        if voided:
            names = {name for reasons in voided for name in reasons}
            yield (
                f"{record.cell.id}: {len(voided)} of its energy windows are void because "
                f"{voiding.in_words(sorted(names))}."
            )


def voided_by(rounds: Iterable[Round], reason: str) -> int:
    """Return how many rounds are void for a reason, alone or together with other reasons."""
    return sum(reason in _reasons(each) for each in rounds)


def why_void(rounds: Iterable[Round]) -> str:
    """Return the reasons for which any of the rounds is void, in words."""
    names = {name for each in rounds for name in _reasons(each)} or {voiding.FOREIGN_CPUS}
    return voiding.in_words(name for name in voiding.WORDS if name in names)


def _reasons(round_: Round) -> tuple[str, ...]:
    """Return why a round is void; files that state no reason knew foreign load only."""
    return (round_.reasons or (voiding.FOREIGN_CPUS,)) if round_.voided else ()


def _rounds(run: RunRecord, device: str) -> list[Round]:
    """Return the rounds on a device.

    With several devices the set determines the device; otherwise it is the last part of the group.
    """
    devices = run.plan.devices or ()
    return [
        each
        for each in run.rounds
        if device
        == (devices[each.set_index % len(devices)] if devices else each.group.rpartition("/")[2])
    ]


def _around(rounds: Iterable[Round]) -> list[Around]:
    return [each.card for each in rounds if each.card is not None]


def _facts(card_facts: CardFacts, rounds: Sequence[Round]) -> dict[str, object]:
    if card_facts.unknown is not None:
        return {"state": f"unknown: {card_facts.unknown}"}
    properties: dict[str, object] = {
        heading: UNKNOWN if (value := getattr(card_facts, name)) is None else write(value)
        for name, (heading, write) in _PROPERTIES.items()
    }
    around = _around(rounds)
    readings = [reading for state in around for reading in (state.before, state.after)]
    ranges = {
        name: _range([value for value in map(read, readings) if value is not None], scale, unit)
        for name, read, scale, unit in _READINGS
    }
    return {**properties, **ranges, "throttled": _throttling(around)} if around else properties


def _range(values: Sequence[float], scale: float, unit: str) -> str:
    if not values:
        return UNKNOWN
    low, high = (f"{value * scale:,.0f}" for value in (min(values), max(values)))
    return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


def _throttling(around: Sequence[Around]) -> str:
    """Return in how many rounds each reason slowed the card down, and its total time if counted."""
    parts = []
    for name in sorted({name for state in around for name in state.throttling}):
        within = [state for state in around if name in state.throttling]
        seconds = sum(state.throttled_s.get(name, 0.0) for state in within)
        in_total = f" ({seconds:.2f} s)" if any(name in s.throttled_s for s in within) else ""
        rounds = f"{len(within)} of {counted(len(around), 'round')}"
        parts.append(f"{name.replace('_', ' ')} in {rounds}{in_total}")
    if parts:
        return ", ".join(parts)
    is_known = any(s.after.reasons is not None or s.after.throttled_s is not None for s in around)
    return "never" if is_known else UNKNOWN
