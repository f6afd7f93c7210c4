"""Run files of earlier schema versions: the changes that bring their content to the next one.

1. The first version: no waves, no control, and no rounds with their load.
2. Sets consist of waves of live workers, so samples have a wave. The file also contains controls,
   rounds with their foreign load, voided samples, cold compilations and notes.
3. The file has the run's id, the version of the code, and the host of each visit.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from bench.records.record import Round

READABLE = (1, 2, 3)
ANY_PRECISION = 1.0  # a plan without a requested precision takes any
FROM_1 = (
    "This run file is of the first schema version, which had no control and no record of the load "
    "by other processes: whether the run can be trusted is unknown."
)


def upgrade(run_info: dict[str, Any], infos: list[dict[str, Any]]) -> None:
    """Bring a run's own part of a file and its cells to the present version, in place."""
    if run_info["schema_version"] == 1:
        _from_1(run_info, infos)
    if run_info["schema_version"] <= 2:
        _from_2(run_info)


def _from_1(run_info: dict[str, Any], infos: list[dict[str, Any]]) -> None:
    for info in infos:
        info |= {"control": False, "base": False, "compile_cold_s": None}
        info["wave"] = [0] * len(info["set"])
        info["voided"] = {"set": [], "wave": [], "round": [], "host_s": [], "device_s": []}
    run_info["plan"].setdefault("precision", ANY_PRECISION)
    run_info |= {
        "base_environment": None,
        "controls": list(_controls(run_info, infos)),
        "bases": [],
        "rounds": {field.name: [] for field in fields(Round)},
        "allotted": {},
        "notes": [FROM_1],
    }


def _controls(run_info: dict[str, Any], infos: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an unmeasured control for each reference, because controls name the references."""
    nothing: dict[str, Any] = {"set": [], "wave": [], "round": [], "host_s": [], "device_s": []}
    for info in infos:
        if (info["arch"], info["mode"]) == (run_info["plan"]["reference_arch"], "eager"):
            empty: dict[str, Any] = {"setups": [], "failure": None, "voided": nothing}
            yield {**info, **nothing, **empty, "control": True}


def _from_2(run_info: dict[str, Any]) -> None:
    run_info |= {"run_id": "", "code": None, "hosts": [""]}
    # Added during version 2.
    run_info.setdefault("allotted", {})
    if not run_info["allotted"] and run_info["plan"].get("rounds") is not None:
        run_info["allotted"] = dict.fromkeys(
            run_info["rounds"]["group"], run_info["plan"]["rounds"]
        )
