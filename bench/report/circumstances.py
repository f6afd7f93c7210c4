"""The circumstances of a run: its environment, its plan and its wall time."""

import pandas as pd

from bench.columns import Column
from bench.machine import pinned
from bench.records.record import RunRecord
from bench.trust import card_state

# ``facts`` shows these in another form.
_SHOWN_SEPARATELY = frozenset({"variables", "cards", "libraries"})
# The command has a line of its own, the requested reference may not be among the cells, and the
# default is no setting.
_NOT_IN_PLAN = frozenset({"command", "reference_arch", "reference_mode", "default_foreign_cpus"})
PARTIAL = {
    "complete": "",
    "over_budget": "the time budget was used up before everything was measured.",
    "interrupted": "the run was interrupted; the figures are those measured before that.",
    "stopped_early": "every round of a set was voided, so the run ended early; the figures are "
    "those measured before that.",
}
SETTING_COLUMNS = tuple(
    Column(name=name, heading=name, is_text=True) for name in ("name", "value", "reason")
)


def facts(run: RunRecord) -> dict[str, object]:
    """Return the environment as workers saw it, the state of the cards, the system and the commit.

    Unknown facts of the environment are omitted.
    """
    return {
        **{
            name: value
            for name, value in run.environment.known.items()
            if name not in _SHOWN_SEPARATELY
        },
        **run.environment.libraries,
        **card_state.facts(run),
        **run.environment.variables,
        **_tf32(run),
        **_executors(run),
        "system": f"{run.machine_info.get('system')} {run.machine_info.get('release')}",
        "commit": _commit(run),
        **({"code digest": run.code.digest[:12]} if run.code else {}),
        **_base_code(run),
        **({"run id": run.run_id} if run.run_id else {}),
        **({"measured on": ", ".join(hosts)} if len(hosts := _hosts(run)) > 1 else {}),
        "measured at": run.datetime,
    }


def plan(run: RunRecord) -> dict[str, object]:
    """Return the plan without the command and the cells; fields without a value are omitted."""
    settings = {
        name: _in_words(value)
        for name, value in run.plan.known.items()
        if name not in _NOT_IN_PLAN and value not in ("", ())
    }
    names = dict.fromkeys(f"{cell.arch} {cell.label}" for cell in run.references().values())
    return {**settings, **({"reference": ", ".join(names)} if names else {})}


def wall_time_s(run: RunRecord) -> dict[str, str]:
    """Return the seconds of each phase and their total, formatted with one decimal."""
    spent_s = {**run.phases_s, "total": sum(run.phases_s.values())}
    return {name: f"{seconds:.1f}" for name, seconds in spent_s.items()}


def environment_effect(run: RunRecord) -> str:
    """Describe what the environment of the workers does; empty if the environment is unknown."""
    return pinned.NAMES.get(str(run.plan.environment), "")


def settings(run: RunRecord) -> pd.DataFrame:
    """Return the variables that workers started with and their reasons, as ``SETTING_COLUMNS``."""
    if not environment_effect(run):
        return pd.DataFrame(columns=[column.name for column in SETTING_COLUMNS])
    return pd.DataFrame(
        [
            {"name": setting.name, "value": value, "reason": setting.reason}
            for setting in pinned.settings(str(run.plan.environment))
            if (value := run.environment.variables.get(setting.name)) is not None
        ],
        columns=[column.name for column in SETTING_COLUMNS],
    )


def _in_words(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _tf32(run: RunRecord) -> dict[str, str]:
    """Return the GPU's two TF32 settings for each dtype; empty on a CPU."""
    if not run.environment.is_on_gpu:
        return {}
    headings = {"tf32_convolutions": "TF32 in convolutions", "tf32_products": "TF32 in products"}
    states_by_heading: dict[str, dict[str, str]] = {heading: {} for heading in headings.values()}
    for record in run.cells:
        for setup in record.setups:
            for name, heading in headings.items():
                if (is_on := getattr(setup, name)) is not None:
                    states_by_heading[heading][record.cell.dtype] = "on" if is_on else "off"
    return {
        heading: ", ".join(f"{dtype}: {state}" for dtype, state in states.items())
        for heading, states in states_by_heading.items()
        if states
    }


def _executors(run: RunRecord) -> dict[str, str]:
    """Versions and settings that executors reported, by mode."""
    by_mode: dict[str, dict[str, None]] = {}
    for record in run.cells:
        for setup in record.setups:
            if settings := setup.executor_settings:
                text = ", ".join(f"{name}: {value}" for name, value in settings.items())
                by_mode.setdefault(record.cell.mode, {})[text] = None
    return {mode: "; ".join(texts) for mode, texts in by_mode.items()}


def _hosts(run: RunRecord) -> list[str]:
    """Return the names of the machines that measured the run."""
    records = (*run.cells, *run.controls, *run.bases)
    names = dict.fromkeys(visit.host for record in records for visit in record.visits)
    return list(names)


def _base_code(run: RunRecord) -> dict[str, str]:
    """Return the commit and the digest of a gate's base; empty if there is none."""
    if run.base_code is None:
        return {}
    commit = run.base_code.commit or "unknown"
    return {"commit of base": commit[:12], "code digest of base": run.base_code.digest[:12]}


def _commit(run: RunRecord) -> str:
    commit = str(run.commit_info.get("id") or "unknown")
    return commit[:12] + (" with uncommitted changes" if run.commit_info.get("dirty") else "")
