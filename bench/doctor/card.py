"""Findings about CUDA devices. Pure: the readings of NVML are arguments."""

from collections.abc import Collection, Iterator, Sequence

from bench.doctor.finding import Finding, Severity
from bench.machine.card import THERMAL, CardReading
from bench.machine.environment import CardFacts

_MHZ = 1e-6


def unknown(device: str, why: str) -> Finding:
    """Return the finding about a device whose state cannot be read."""
    return Finding(
        what=device,
        found=f"{why}; therefore heat, a power cap and other users of the device are not detected",
        state=Severity.SPOILS,
        advice="if the driver is installed: pip install 'googlenet-bench[gpu]'",
    )


def refused(device: str, why: str) -> Finding:
    """Return the finding about a device that accepts no workers."""
    return Finding(
        what=device, found=why, state=Severity.PREVENTS, advice="see the reason under 'found'"
    )


def known(
    device: str,
    facts: CardFacts,
    reading: CardReading,
    other_users: Sequence[str],
    name: str | None = None,
) -> Iterator[Finding]:
    """Yield findings about a device that NVML knows: its identity, state and other users.

    ``name``: the card's model.
    """
    yield Finding(what=device, found=_identity(facts, name))
    hot = THERMAL.intersection(reading.reasons or ())
    yield Finding(
        what=f"{device}: state",
        found=_state(facts, reading),
        state=Severity.SPOILS if hot else Severity.FINE,
        advice="rounds are voided while the card is too hot: let it cool down" if hot else "",
    )
    yield Finding(
        what=f"{device}: others",
        found="; ".join(other_users) or ("unknown" if reading.others is None else "none"),
        state=Severity.PREVENTS if other_users else Severity.FINE,
        advice="a run is refused: wait until they end, choose another --device, or allow sharing "
        "the device with --allow-shared"
        if other_users
        else "",
    )


def _identity(facts: CardFacts, name: str | None) -> str:
    """Return the name of the card and of its driver, and how it is divided or shared."""
    parts = (
        name,
        facts.driver and f"driver {facts.driver}",
        facts.uuid,
        facts.mig
        and "divided by MIG: clocks and heat are of the whole card; energy is not measured",
        facts.mps_seen and "a sign of MPS was seen",
    )
    return ", ".join(part for part in parts if part)


def _state(facts: CardFacts, reading: CardReading) -> str:
    parts = (
        _quantity("SM clock", reading.sm_hz, facts.most_sm_hz, _MHZ, "MHz"),
        _quantity("power", reading.power_w, facts.power_limit_w, 1.0, "W"),
        "" if reading.temperature_c is None else f"{reading.temperature_c} °C",
        _slowdown(reading.reasons),
    )
    return ", ".join(filter(None, parts)) or "unknown"


def _quantity(name: str, value: float | None, maximum: object, factor: float, unit: str) -> str:
    if value is None:
        return ""
    limit = f" of {maximum * factor:,.0f}" if isinstance(maximum, int | float) else ""
    return f"{name} {value * factor:,.0f}{limit} {unit}"


def _slowdown(names: Collection[str] | None) -> str:
    reasons = [name.replace("_", " ") for name in names or () if name != "idle"]
    return f"slowed down because of {', '.join(reasons)}" if reasons else ""
