"""The cards of a run: find them before it begins, and refuse cards that others use."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RequestError
from bench.machine import driver, nvml
from bench.machine.card import Card, other_users
from bench.machine.environment import CardFacts

# Memory of the previous run's workers is not free immediately after they end.
SETTLE_S = 3.0
_ONE_AT_A_TIME = frozenset({"exclusive_thread", "exclusive_process", "prohibited"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """The CUDA devices of a run, by device name."""

    known: Mapping[str, Card] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Why the state of a device cannot be read, by device."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Descriptions of other users of a device, by device, if sharing is allowed."""

    @property
    def facts(self) -> Mapping[str, CardFacts]:
        """Facts for the environment, by device."""
        return {
            **{name: card.facts for name, card in self.known.items()},
            **{name: CardFacts(unknown=why) for name, why in self.unknown.items()},
        }


def find(
    devices: Iterable[str],
    *,
    allow_shared: bool,
    load: Callable[[], Any] = nvml.load,
    identity: Callable[[int], driver.Identity | None] = driver.identity,
    sleep: Callable[[float], None] = time.sleep,
) -> Cards:
    """Return the cards of the CUDA devices among ``devices``, without duplicates.

    Raises ``RequestError`` if others use a card and this is not allowed, or if a card accepts only
    one process.
    """
    known, unknown, shared = {}, {}, {}
    for device in dict.fromkeys(device for device in devices if device.startswith("cuda")):
        try:
            meter = _meter(device, load, identity)
        except nvml.CardUnknownError as error:
            unknown[device] = str(error)
            continue
        facts = meter.describe()
        _check_mode(device, facts)
        reading = meter.read()
        if other_users(reading):
            sleep(SETTLE_S)
            reading = meter.read()
        others = other_users(reading)
        if others and not allow_shared:
            raise RequestError(
                f"{device} is used by others: {'; '.join(others)}. Wait until they end, choose "
                "another --device, or share it with --allow-shared; the report will mention this"
            )
        if others:
            shared[device] = others
        known[device] = Card(
            meter=meter,
            facts=facts,
            allowed=frozenset(process.pid for process in reading.others or ()),
            is_shared=bool(others),
        )
    return Cards(known=known, unknown=unknown, shared=shared)


def _check_mode(device: str, facts: CardFacts) -> None:
    """Raise ``RequestError`` if a card accepts only one process."""
    if facts.compute_mode in _ONE_AT_A_TIME and not facts.mps_seen:
        raise RequestError(
            f"{device} is in compute mode {facts.compute_mode}, which allows one process "
            "at a time, but all workers of a set are alive together: set the mode to default "
            "(nvidia-smi -c 0), or choose another --device"
        )


def _meter(
    device: str, load: Callable[[], Any], identity: Callable[[int], driver.Identity | None]
) -> nvml.NvmlMeter:
    module = load()
    which = identity(int(device.partition(":")[2] or 0))
    if which is None:
        raise nvml.CardUnknownError(f"the driver does not say which card {device} is")
    return nvml.NvmlMeter(module, which)
