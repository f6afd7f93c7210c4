"""Flat: samples and rounds as a run file has them, as one list for each of their fields.

A sample's set, wave and round lie beside it, in lists of the same length.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from bench.records.record import BackToBack, Round, Visit

_NOT_EVERY_ROUND_S = frozenset({"reasons", "card"})  # of version 2 too, not from its beginning
_WHERE = ("set", "wave", "round")  # of a sample; each is the index of a ``Visit``


def of_visits(visits: Sequence[Visit]) -> dict[str, Any]:
    """The samples of visits, one after the other, and where each is from."""
    return {
        **_placed(visits),
        "device_s": [sample for visit in visits for sample in visit.device_s],
        **_disturbed(visits),
        **_blocks(visits),
    }


def _disturbed(visits: Sequence[Visit]) -> dict[str, dict[str, list[Any]]]:
    """The iterations that do not count, in the same way; no key where nothing is known of any."""
    found = [
        replace(visit, host_s=visit.disturbed_s)
        for visit in visits
        if visit.disturbed_s is not None
    ]
    return {"disturbed": _placed(found)} if found else {}


def _placed(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    return {
        **{
            name: [getattr(visit, f"{name}_index") for visit in visits for _ in visit.host_s]
            for name in _WHERE
        },
        "host_s": [sample for visit in visits for sample in visit.host_s],
    }


def _blocks(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    """The back-to-back block of each visit, and where it is from; no key where there is none."""
    found = [
        {
            **{name: getattr(visit, f"{name}_index") for name in _WHERE},
            **asdict(visit.back_to_back),
        }
        for visit in visits
        if visit.back_to_back
    ]
    return {"back_to_back": found} if found else {}


def visits(flat: Mapping[str, Any], *, voided: bool) -> Iterator[dict[str, Any]]:
    """The fields of each ``Visit``: neighbours that share a set, wave and round, together again."""
    blocks = _blocks_read(flat.get("back_to_back", ()))
    disturbed = dict(_together(flat["disturbed"])) if "disturbed" in flat else None
    device_s = _checked(flat["device_s"])
    start = 0
    for key, host_s in _together(flat):
        end = start + len(host_s)
        yield {
            **{f"{name}_index": index for name, index in zip(_WHERE, key, strict=True)},
            "host_s": host_s,
            "device_s": device_s[start:end],
            "disturbed_s": None if disturbed is None else disturbed.pop(key, ()),
            "voided": voided,
            "back_to_back": blocks.get(key),
        }
        start = end
    if disturbed:
        raise ValueError(f"disturbed iterations of a visit that is not there: {min(disturbed)}")
    if device_s and len(device_s) != start:
        raise ValueError(f"{len(device_s)} samples of the device, and {start} of the host")


def _together(
    flat: Mapping[str, Sequence[Any]],
) -> Iterator[tuple[tuple[Any, ...], tuple[float, ...]]]:
    """Samples lying flat: those of each set, wave and round."""
    keys = zip(*(flat[name] for name in _WHERE), strict=True)
    samples = zip(keys, _checked(flat["host_s"]), strict=True)
    for key, together in groupby(samples, key=itemgetter(0)):
        yield key, tuple(sample for _, sample in together)


def _checked(samples: Sequence[float]) -> Sequence[float]:
    for sample in samples:
        if not 0 < sample < math.inf:
            raise ValueError(f"a sample of {sample!r} seconds")
    return samples


def _blocks_read(found: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The fields of each ``BackToBack``, by its visit's set, wave and round."""
    blocks = {}
    for block in found:
        fields_of = {field.name: block[field.name] for field in fields(BackToBack)}
        for name, value in fields_of.items():
            if not (value is None and name == "busy_s") and not 0 < value < math.inf:
                raise ValueError(f"a back-to-back block whose {name} is {value!r}")
        blocks[tuple(block[name] for name in _WHERE)] = fields_of
    return blocks


def of_rounds(found: Sequence[Round]) -> dict[str, list[Any]]:
    """Rounds as a list for each of their fields; what none of them has is left out."""
    columns = {field.name: [getattr(r, field.name) for r in found] for field in fields(Round)}
    return {
        name: values
        for name, values in columns.items()
        if name not in _NOT_EVERY_ROUND_S or any(values)
    }


def rounds(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each ``Round``."""
    names = [
        field.name
        for field in fields(Round)
        if field.name in columns or field.name not in _NOT_EVERY_ROUND_S
    ]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
