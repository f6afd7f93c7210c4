"""The request for the fastest way to run a network: its own options, and those it shares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import values
from bench.api.measure_request import REPORT, MeasureRequest
from bench.api.option import option
from bench.best.combinations import FP32
from bench.cells import modes
from bench.cells.dtypes import DTYPES
from bench.errors import RequestError
from bench.names import choose

CANDIDATES = "the candidates"
LIMITS = "the limits"
SETS = 5  # of the final run, at least
MIN_BUDGET_S = 20.0  # starting the workers of a tiny network twice takes this long on two cores
SHARED = (
    "batch_sizes",
    "image_size",
    "input_shape",
    "seed",
    "sets",
    "precision",
    "device",
    "l2",
    "environment",
    "memory",
    "foreign_cpus",
    "allow_shared",
)
"""Options of a run that mean the same here."""


def _budget(value: object, name: str) -> float:
    seconds = values.positive(" of seconds")(value, name)
    if seconds < MIN_BUDGET_S:
        raise RequestError(
            f"{name} must be at least {MIN_BUDGET_S:g} seconds, not {seconds:g}: starting the "
            "workers takes that long"
        )
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BestRequest:
    """What may win, and what is written."""

    modes: Sequence[str] | None = option(
        "only these modes, and no combinations of them; separated by commas (default: every "
        "executor and rewrite that runs here, and combinations of the fastest)",
        metavar="A,B,…",
        parse=values.listed(values.text),
        group=CANDIDATES,
    )
    dtypes: Sequence[str] | None = option(
        "the dtypes that may win: fp32 and bf16; on CUDA also tf32 and fp16 (default: fp32); all "
        "except fp32 need --max-error; separated by commas",
        metavar="A,B,…",
        parse=values.listed(values.text),
        group=CANDIDATES,
    )
    max_error: float | None = option(
        "largest relative error of the answers against fp32 eager, such as 0.05 (default: only "
        "fp32 takes part)",
        metavar="SHARE",
        parse=values.share,
        group=LIMITS,
    )
    budget: float | None = option(
        "end after this time, half of it before the final run; what is finished decides (default: "
        "no limit)",
        metavar="SECONDS",
        parse=_budget,
        group=LIMITS,
    )
    report_dir: Path | None = option(
        "folder for best.csv, best.md and the reports of the final run (default: nothing is "
        "written)",
        metavar="DIR",
        parse=values.folder,
        group=REPORT,
    )

    def measured(self, arch: str, shared: MeasureRequest) -> MeasureRequest:
        """Return the request for a run of the network.

        ``shared`` has the options that both requests have. Raises ``RequestError`` for an unknown
        dtype, or for fewer sets than an interval needs.
        """
        for name in self.dtypes or ():
            choose("dtype", name, DTYPES)
        if shared.sets == 1:
            raise RequestError("--sets must be at least 2: the intervals are over sets")
        sets = SETS if shared.sets is None else shared.sets
        return replace(shared, archs=(arch,), modes=(modes.DEFAULT,), dtypes=self.dtypes, sets=sets)

    def competing_dtypes(self) -> tuple[str, ...]:
        """Return the dtypes that take part, fp32 first; only fp32 if no error is allowed."""
        given = self.dtypes or () if self.max_error is not None else ()
        return tuple(dict.fromkeys((FP32, *given)))

    def note_on_dtypes(self) -> str:
        """Say which dtypes do not take part, and why; empty if all do."""
        out = [name for name in self.dtypes or () if name not in self.competing_dtypes()]
        if not out:
            return ""
        return (
            f"Only fp32 takes part: {', '.join(out)} would change the answers, and --max-error "
            "does not say by how much they may change."
        )

    def checked_modes(self, device: str) -> tuple[str, ...] | None:
        """Return the canonical names of ``modes``; raise ``RequestError`` for an unknown one."""
        if self.modes is None:
            return None
        for mode in self.modes:
            modes.check(mode, device, ("infer",))
        return tuple(dict.fromkeys(map(modes.canonical, self.modes)))
