"""Findings about CUDA devices. Pure: what NVML was asked goes in."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from bench.doctor.finding import Finding, Severity
from bench.machine.card import THERMAL, CardReading

_MHZ = 1e-6


def unknown(device: str, why: str) -> Finding:
    """Of a device whose state nobody says."""
    return Finding(
        what=device,
        found=f"{why}; until then heat, a power cap and others on it go unseen",
        state=Severity.SPOILS,
        advice="pip install 'googlenet-bench[gpu]', where the driver is there",
    )


def refused(device: str, why: str) -> Finding:
    """Of a device that takes no workers."""
    return Finding(what=device, found=why, state=Severity.PREVENTS, advice="as it says")


def known(
    device: str, facts: Mapping[str, object], reading: CardReading, others: Sequence[str]
) -> Iterator[Finding]:
    """Of a device that NVML knows: who it is, how it is, and who else is on it, in words."""
    yield Finding(what=device, found=_who(facts))
    hot = THERMAL.intersection(reading.reasons or ())
    yield Finding(
        what=f"{device}: state",
        found=_how(facts, reading),
        state=Severity.SPOILS if hot else Severity.FINE,
        advice="rounds are voided while it is too hot: let it cool" if hot else "",
    )
    yield Finding(
        what=f"{device}: others",
        found="; ".join(others) or ("not told" if reading.others is None else "nobody"),
        state=Severity.PREVENTS if others else Severity.FINE,
        advice="a run is refused: wait for them, choose another --device, or measure beside them "
        "with --allow-shared"
        if others
        else "",
    )


def _who(facts: Mapping[str, object]) -> str:
    """Its name by the driver, and how it is divided or shared."""
    told = {
        "name": f"{facts.get('name')}",
        "driver": f"driver {facts.get('driver')}",
        "uuid": str(facts.get("uuid")),
        "mig": "divided by MIG: clocks and heat are the whole card's, and energy is not measured",
        "mps_seen": "a sign of MPS",
    }
    return ", ".join(text for name, text in told.items() if facts.get(name))


def _how(facts: Mapping[str, object], reading: CardReading) -> str:
    parts = (
        _of("SM clock", reading.sm_hz, facts.get("most_sm_hz"), _MHZ, "MHz"),
        _of("power", reading.power_w, facts.get("power_limit_w"), 1.0, "W"),
        "" if reading.temperature_c is None else f"{reading.temperature_c} °C",
        _reasons(reading.reasons),
    )
    return ", ".join(filter(None, parts)) or "not told"


def _of(what: str, value: float | None, most: object, factor: float, unit: str) -> str:
    if value is None:
        return ""
    limit = f" of {most * factor:,.0f}" if isinstance(most, int | float) else ""
    return f"{what} {value * factor:,.0f}{limit} {unit}"


def _reasons(names: Collection[str] | None) -> str:
    held = [name.replace("_", " ") for name in names or () if name != "idle"]
    return f"slowed down for {', '.join(held)}" if held else ""
