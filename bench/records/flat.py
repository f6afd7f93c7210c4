"""The flat form of samples and rounds in a run file: one list for each field.

The set, wave and round of each sample are in lists of the same length.
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, fields, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from bench.records.record import BackToBack, Round, Visit, VisitTime

_OPTIONAL_ROUND_FIELDS = frozenset({"reasons", "card"})  # added during version 2
_WHERE = ("set", "wave", "round")  # a sample's place; each is the index of a ``Visit``


def flatten_visits(visits: Sequence[Visit], hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Return the samples of all visits in order, with the place of each.

    ``hosts``: the names of the run's machines. If there are several, each sample has the index of
    its machine.
    """
    return {
        **_placed(visits),
        **_hosts(visits, hosts),
        "device_s": [sample for visit in visits for sample in visit.device_s],
        **_disturbed(visits),
        **_blocks(visits),
        **_times(visits),
    }


def _hosts(visits: Sequence[Visit], hosts: Sequence[str]) -> dict[str, list[int]]:
    """Return the index of each sample's machine; no key if there is only one."""
    if len(hosts) < 2:
        return {}
    return {"host": [hosts.index(visit.host) for visit in visits for _ in visit.host_s]}


def _disturbed(visits: Sequence[Visit]) -> dict[str, dict[str, Any]]:
    """Return the iterations that do not count, likewise; no key if nothing is known of any.

    ``unknown``: the visits whose disturbed iterations are unknown, if others' are known.
    """
    known = [
        replace(visit, host_s=visit.disturbed_s)
        for visit in visits
        if visit.disturbed_s is not None
    ]
    if not known:
        return {}
    unknown = [visit for visit in visits if visit.disturbed_s is None and visit.host_s]
    places = {name: [getattr(visit, f"{name}_index") for visit in unknown] for name in _WHERE}
    return {"disturbed": {**_placed(known), **({"unknown": places} if unknown else {})}}


def _placed(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    return {
        **{
            name: [getattr(visit, f"{name}_index") for visit in visits for _ in visit.host_s]
            for name in _WHERE
        },
        "host_s": [sample for visit in visits for sample in visit.host_s],
    }


def _blocks(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    """Return each visit's back-to-back block with its place; no key if there are none."""
    blocks = [
        {
            **{name: getattr(visit, f"{name}_index") for name in _WHERE},
            **asdict(visit.back_to_back),
        }
        for visit in visits
        if visit.back_to_back
    ]
    return {"back_to_back": blocks} if blocks else {}


def _times(visits: Sequence[Visit]) -> dict[str, dict[str, list[float | None]]]:
    """Return when each visit took place, in the order of the samples; no key if it is unknown."""
    times = [visit.time for visit in visits if visit.host_s]
    if not any(times):
        return {}
    columns = {
        field.name: [None if time is None else getattr(time, field.name) for time in times]
        for field in fields(VisitTime)
    }
    return {"times": columns}


def read_visits(
    flat: Mapping[str, Any], hosts: Sequence[str], *, voided: bool
) -> Iterator[dict[str, Any]]:
    """Yield the fields of each ``Visit``: consecutive samples of the same set, wave and round.

    ``hosts``: the names of the run's machines.
    """
    blocks = _blocks_read(flat.get("back_to_back", ()))
    disturbed, unknown = _disturbed_read(flat.get("disturbed"))
    device_s = _checked(flat["device_s"])
    together = list(_together(flat))
    times = _times_read(flat["times"]) if "times" in flat else [None] * len(together)
    if len(times) != len(together):
        raise ValueError(f"times of {len(times)} visits, but samples of {len(together)}")
    start = 0
    for (key, host_s), time in zip(together, times, strict=True):
        end = start + len(host_s)
        yield {
            **{f"{name}_index": index for name, index in zip(_WHERE, key, strict=True)},
            "host_s": host_s,
            "device_s": device_s[start:end],
            "disturbed_s": None if disturbed is None or key in unknown else disturbed.pop(key, ()),
            "voided": voided,
            "back_to_back": blocks.get(key),
            "host": hosts[flat["host"][start] if "host" in flat else 0],
            "time": time,
        }
        start = end
    if disturbed:
        raise ValueError(
            f"disturbed iterations of visit {min(disturbed)}, which is missing or has unknown ones"
        )
    if missing := unknown - {key for key, _ in together}:
        raise ValueError(f"unknown disturbed iterations of visit {min(missing)}, which is missing")
    if device_s and len(device_s) != start:
        raise ValueError(f"{len(device_s)} device samples, but {start} host samples")


def _disturbed_read(
    flat: Mapping[str, Any] | None,
) -> tuple[dict[tuple[Any, ...], tuple[float, ...]] | None, Set[tuple[Any, ...]]]:
    """Return the disturbed iterations by visit, and the visits whose disturbed ones are unknown.

    None instead of the iterations if those of all visits are unknown.
    """
    if flat is None:
        return None, frozenset()
    places = flat.get("unknown", dict.fromkeys(_WHERE, ()))
    unknown = frozenset(zip(*(places[name] for name in _WHERE), strict=True))
    return dict(_together(flat)), unknown


def _together(
    flat: Mapping[str, Sequence[Any]],
) -> Iterator[tuple[tuple[Any, ...], tuple[float, ...]]]:
    """Yield the samples of each set, wave and round."""
    keys = zip(*(flat[name] for name in _WHERE), strict=True)
    samples = zip(keys, _checked(flat["host_s"]), strict=True)
    for key, together in groupby(samples, key=itemgetter(0)):
        yield key, tuple(sample for _, sample in together)


def _checked(samples: Sequence[float]) -> Sequence[float]:
    for sample in samples:
        if not 0 < sample < math.inf:
            raise ValueError(f"a sample of {sample!r} seconds")
    return samples


def _blocks_read(flat_blocks: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the fields of each ``BackToBack``, by its visit's set, wave and round."""
    blocks = {}
    for block in flat_blocks:
        block_fields = {field.name: block[field.name] for field in fields(BackToBack)}
        for name, value in block_fields.items():
            if not (value is None and name == "busy_s") and not 0 < value < math.inf:
                raise ValueError(f"a back-to-back block whose {name} is {value!r}")
        blocks[tuple(block[name] for name in _WHERE)] = block_fields
    return blocks


def _times_read(columns: Mapping[str, Sequence[float | None]]) -> list[dict[str, float] | None]:
    """Return the fields of each ``VisitTime``; None where it is unknown."""
    names = [field.name for field in fields(VisitTime)]
    times = []
    for values in zip(*(columns[name] for name in names), strict=True):
        known = {
            name: value for name, value in zip(names, values, strict=True) if value is not None
        }
        for name, value in known.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"a visit whose {name} is {value!r}")
        times.append(known or None)
    return times


def flatten_rounds(rounds: Sequence[Round]) -> dict[str, list[Any]]:
    """Return rounds as a list for each field; optional fields without any value are left out."""
    columns = {field.name: [getattr(r, field.name) for r in rounds] for field in fields(Round)}
    return {
        name: values
        for name, values in columns.items()
        if name not in _OPTIONAL_ROUND_FIELDS or any(values)
    }


def read_rounds(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of each ``Round``."""
    names = [
        field.name
        for field in fields(Round)
        if field.name in columns or field.name not in _OPTIONAL_ROUND_FIELDS
    ]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
