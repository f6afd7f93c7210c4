"""The cards of a run: found before it begins, and refused where others use them."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.machine import driver, nvml
from bench.machine.card import Card, strangers
from bench.names import RequestError

# What the last run's workers held is not free the moment that they are gone.
SETTLE_S = 3.0
_ONE_AT_A_TIME = frozenset({"exclusive_thread", "exclusive_process", "prohibited"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """The CUDA devices of a run, by the names that they are asked for by."""

    known: Mapping[str, Card] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Why nobody says what state a device is in, in words."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Who else was on a device, in words, where that is allowed."""

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What the environment tells of each, by its name."""
        return {
            **{name: dict(card.facts) for name, card in self.known.items()},
            **{name: {"unknown": why} for name, why in self.unknown.items()},
        }


def find(
    devices: Iterable[str],
    *,
    allow_shared: bool,
    load: Callable[[], Any] = nvml.load,
    identity: Callable[[int], driver.Identity | None] = driver.identity,
    sleep: Callable[[float], None] = time.sleep,
) -> Cards:
    """The cards behind devices, each once; those of the CPU are left out.

    Raises ``RequestError`` where others are on one and that is not allowed, and where one takes no
    second process.
    """
    known, unknown, shared = {}, {}, {}
    for device in dict.fromkeys(device for device in devices if device.startswith("cuda")):
        try:
            meter = _meter(device, load, identity)
        except nvml.CardUnknownError as error:
            unknown[device] = str(error)
            continue
        facts = meter.describe()
        if facts["compute_mode"] in _ONE_AT_A_TIME and not facts["mps_seen"]:
            raise RequestError(
                f"{device} is in compute mode {facts['compute_mode']}, in which no two processes "
                "use a card at a time, and all workers of a set are alive together: have it set "
                "to default (nvidia-smi -c 0), or choose another --device"
            )
        found = meter.read()
        if strangers(found):
            sleep(SETTLE_S)
            found = meter.read()
        others = strangers(found)
        if others and not allow_shared:
            raise RequestError(
                f"{device} is used by others: {'; '.join(others)}. Wait for them, choose another "
                "--device, or measure beside them with --allow-shared, which the report will say"
            )
        if others:
            shared[device] = others
        known[device] = Card(
            meter=meter,
            facts=facts,
            allowed=frozenset(process.pid for process in found.others or ()),
            is_shared=bool(others),
        )
    return Cards(known=known, unknown=unknown, shared=shared)


def _meter(
    device: str, load: Callable[[], Any], identity: Callable[[int], driver.Identity | None]
) -> nvml.NvmlMeter:
    module = load()
    which = identity(int(device.partition(":")[2] or 0))
    if which is None:
        raise nvml.CardUnknownError(f"the driver does not say which card {device} is")
    return nvml.NvmlMeter(module, which)
