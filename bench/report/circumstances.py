"""Circumstances: in what environment a run was made, by which plan, and where its time went."""

import pandas as pd

from bench.machine import cpu, environment
from bench.records.record import RunRecord
from bench.report import card
from bench.tables import Column

_APART = frozenset({"variables", "cards"})
# The command stands by itself; and the reference that was asked for may not be among the cells.
_SAID_OTHERWISE = frozenset({"command", "reference_arch", "reference_mode"})
PARTIAL = {
    "complete": "",
    "over_budget": "the time budget was used up before everything was measured.",
    "interrupted": "the run was interrupted; these are the figures until then.",
}
SETTING_COLUMNS = tuple(
    Column(name=name, heading=name, is_text=True) for name in ("name", "value", "reason")
)


def facts(run: RunRecord) -> dict[str, object]:
    """The environment as workers saw it, the system and the commit.

    Facts of the CPU that the system did not tell are left out.
    """
    return {
        **{
            name: value
            for name, value in run.environment.items()
            if name not in _APART and not (name in cpu.IDENTITY and value is None)
        },
        **card.facts(run),
        **run.environment.get("variables", {}),
        **_tf32(run),
        "system": f"{run.machine_info.get('system')} {run.machine_info.get('release')}",
        "commit": _commit(run),
        "measured at": run.datetime,
    }


def plan(run: RunRecord) -> dict[str, object]:
    """What was asked for, without the command and the cells; what has no value is left out."""
    said = {
        name: _in_words(value)
        for name, value in run.plan.items()
        if name not in _SAID_OTHERWISE and value not in (None, "", (), [])
    }
    to = dict.fromkeys(f"{cell.arch} {cell.mode}" for cell in run.references().values())
    return {**said, **({"reference": ", ".join(to)} if to else {})}


def wall_time_s(run: RunRecord) -> dict[str, str]:
    """Seconds by phase, written with one decimal, and in all."""
    spent_s = {**run.phases_s, "in all": sum(run.phases_s.values())}
    return {name: f"{seconds:.1f}" for name, seconds in spent_s.items()}


def what_workers_had(run: RunRecord) -> str:
    """What the environment that workers started in does; empty where it is not a known one."""
    return environment.NAMES.get(str(run.plan.get("environment")), "")


def settings(run: RunRecord) -> pd.DataFrame:
    """What workers started with, each with its reason; as ``SETTING_COLUMNS``."""
    if not what_workers_had(run):
        return pd.DataFrame(columns=[column.name for column in SETTING_COLUMNS])
    return pd.DataFrame(
        [
            {"name": setting.name, "value": set_to, "reason": setting.reason}
            for setting in environment.settings(str(run.plan.get("environment")))
            if (set_to := run.environment.get("variables", {}).get(setting.name)) is not None
        ],
        columns=[column.name for column in SETTING_COLUMNS],
    )


def _in_words(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _tf32(run: RunRecord) -> dict[str, str]:
    """Both of a GPU's TF32 knobs, as they stood while each dtype ran; a CPU has none."""
    if not str(run.environment.get("device")).startswith("cuda"):
        return {}
    knobs = {"tf32_convolutions": "TF32 in convolutions", "tf32_products": "TF32 in products"}
    found: dict[str, dict[str, str]] = {shown: {} for shown in knobs.values()}
    for record in run.cells:
        for setup in record.setups:
            for knob, shown in knobs.items():
                if knob in setup:
                    found[shown][record.cell.dtype] = "on" if setup[knob] else "off"
    return {
        shown: ", ".join(f"{dtype}: {state}" for dtype, state in states.items())
        for shown, states in found.items()
        if states
    }


def _commit(run: RunRecord) -> str:
    commit = str(run.commit_info.get("id") or "unknown")
    return commit[:12] + (" with uncommitted changes" if run.commit_info.get("dirty") else "")
