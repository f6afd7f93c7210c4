"""The request for a choice: its own options, and those that it shares with a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import values
from bench.api.measure_request import REPORT, MeasureRequest
from bench.api.option import option
from bench.api.project import ARCHS_OF_PROJECT
from bench.archs import HOW_TO_NAME
from bench.errors import RequestError
from bench.pick.candidate import Limits

CANDIDATES = "the candidates"
LIMITS = "the limits"
SETS = 3  # of the final run, at least
SHARED = (
    "modes",
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
    "resume",
    "front",
)
"""Options of a run that mean the same for a choice. ``dtypes`` and ``tasks`` are not among them:
the accuracies are those of inference in fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickRequest:
    """Which networks to choose from, and what the chosen one must keep to."""

    from_: Sequence[str] | None = option(
        f"the networks to choose from: {HOW_TO_NAME}; separated by commas (default: "
        f"{ARCHS_OF_PROJECT})",
        metavar="A,B,…",
        parse=values.listed(values.text),
        group=CANDIDATES,
    )
    accuracy: Path | None = option(
        "CSV file with the columns arch, accuracy (in percent) and, if wanted, source; it replaces "
        "published accuracies and those in [tool.googlenet-bench.accuracy] of pyproject.toml",
        metavar="FILE.csv",
        parse=values.file,
        group=CANDIDATES,
    )
    max_latency: float | None = option(
        "largest latency of a batch, such as 20ms, 0.02s or 500us; the upper end of the interval "
        "must be within it",
        metavar="TIME",
        parse=values.duration,
        group=LIMITS,
    )
    min_accuracy: float | None = option(
        "least top-1 accuracy, in percent; drops networks whose accuracy is unknown",
        metavar="PERCENT",
        parse=values.percentage,
        group=LIMITS,
    )
    max_params: float | None = option(
        "largest number of parameters, such as 30M",
        metavar="COUNT",
        parse=values.large_number,
        group=LIMITS,
    )
    max_memory: float | None = option(
        "largest peak memory of weights and activations, such as 1GiB or 500MB",
        metavar="SIZE",
        parse=values.size,
        group=LIMITS,
    )
    report_dir: Path | None = option(
        "folder for pick.csv, pick.md and the reports of the final run, and until then for the "
        "journals that --resume needs (default: nothing is written)",
        metavar="DIR",
        parse=values.folder,
        group=REPORT,
    )

    def limits(self) -> Limits:
        """Return the limits; raise ``RequestError`` without one of latency."""
        if self.max_latency is None:
            raise RequestError("--max-latency is missing: say how fast, such as --max-latency 20ms")
        return Limits(
            latency_s=self.max_latency,
            accuracy=self.min_accuracy,
            params=self.max_params,
            memory_bytes=self.max_memory,
        )

    def measured(self, shared: MeasureRequest) -> MeasureRequest:
        """Return the request for the final run of all candidates.

        ``shared`` has the options that both requests have, and the archs of the project's settings.
        Raises ``RequestError`` if no network is named, or for fewer sets than an interval needs.
        """
        archs = shared.archs if self.from_ is None else self.from_
        if archs is None:
            raise RequestError(
                "--from is missing: name the networks to choose from, such as "
                f"--from 'torchvision:resnet*', or set {ARCHS_OF_PROJECT}"
            )
        if shared.sets == 1:
            raise RequestError("--sets must be at least 2: the interval of a latency is over sets")
        return replace(shared, archs=archs, sets=SETS if shared.sets is None else shared.sets)
