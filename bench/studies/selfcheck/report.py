"""The report of the self-check, ``selfcheck.md``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import pandas as pd

from bench.columns import Column, filled, milliseconds, scaled
from bench.engine.local.visit_policy import BLOCKS
from bench.exits import Exit
from bench.machine.environment import Environment
from bench.studies.selfcheck import scale
from bench.studies.selfcheck.bias import ACCEPTED, ACCEPTED_ON_CUDA, Bias
from bench.studies.selfcheck.handover import Handover, Idleness
from bench.studies.selfcheck.scale import Scale
from bench.studies.selfcheck.startup import Startup
from bench.tables import as_markdown, escaped

FILE = "selfcheck.md"
PERCENT = scaled(100, 1)
NANOSECONDS = scaled(1e9, 0)
SECONDS = scaled(1, 1)

BIAS = """\
The suite's clock against `torch.utils.benchmark.Timer.blocked_autorange`, in one process with the
same network, images and threads. A pair is one block of each, without the first sample of each
block; which block comes first alternates. The ratio is the suite's time over the Timer's, with its
95 % interval over pairs; the whole interval should lie within {accepted} of 1. The duration of an
empty step is the largest overhead that the clock can add to an iteration.
"""
ON_DEVICE = """\
On CUDA the Timer waits for the device only at the ends of its blocks, so it is compared with the
suite's back-to-back blocks. `triton.testing.do_bench` measures the time between two events around a
call and empties the L2 cache before each call, like the suite's device span, which it is compared
with. The host latency includes the wait for the device and is compared with neither.
"""
STARTUP = """\
Sets of {workers} live workers, all with torchvision's GoogLeNet in eager at batch 1. Workers are
either fresh interpreters, which import torch each, or forked from one process that has imported it.
Sets of both are measured in turn. All workers are the same, so the log-ratio of two of them should
be 0; its standard deviation (*A/A sd*) is the noise that a set adds to a ratio.
"""
HANDOVER = """\
The first two iterations of a visit that follows another worker's, compared with the rest of that
visit. A run drops the first iteration of fast networks. On a GPU, and with `--environment default`,
which lets threads spin, it pauses {pause_ms:.0f} ms before each visit and drops the first iteration
of all networks. A visit without iterations takes {exchange_ms:.2f} ms, for the request and the
reply. Together, {workers} idle workers use {cpu_share:.3f} CPUs, counted from right after a visit.
"""
SCALE = """\
Time and memory for the bookkeeping of a run, with synthetic samples; each size runs in its own
process. At most {limit_s:.0f} s per stage and {limit_gb:.0f} GB of memory are accepted. Ten times
as many samples should take ten times as long.
"""
AGREE = {True: "yes", False: "NO", None: "too noisy to tell"}
_BIAS_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="latency_s", heading="latency ms", write=milliseconds),
    Column(name="ratio", heading="suite / Timer", write=scaled(1, 4), bounded=True),
    Column(name="host_s", heading="host latency ms", write=milliseconds),
    Column(name="span_s", heading="device span ms", write=milliseconds),
    Column(name="span_ratio", heading="span / do_bench", write=scaled(1, 4), bounded=True),
    Column(name="is_accepted", heading="agree", is_text=True),
    Column(name="empty_step_s", heading="empty step ns", write=NANOSECONDS),
)
_STARTUP_COLUMNS = (
    Column(name="way", heading="workers", is_text=True),
    Column(name="importing_s", heading="importing, once, s", write=SECONDS),
    Column(name="set_s", heading="set s", write=SECONDS),
    Column(name="measuring_s", heading="measuring, per set, s", write=SECONDS),
    Column(name="aa_sd", heading="A/A sd %", write=scaled(100, 2)),
    Column(name="sets", heading="sets"),
)
_HANDOVER_COLUMNS = (
    Column(name="before", heading="before the visit", is_text=True),
    Column(name="first", heading="first iteration + %", write=PERCENT),
    Column(name="second", heading="second + %", write=PERCENT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selfcheck:
    """The results of the self-check."""

    environment: Environment
    biases: Sequence[Bias] = ()
    startups: Sequence[Startup] = ()
    handovers: Sequence[Handover] = ()
    idleness: Idleness | None = None
    """None if hand-overs were not measured."""
    scales: Mapping[str, Sequence[Scale]] = field(default_factory=dict)
    """Sizes in ascending order, by layout."""

    @property
    def exit_code(self) -> Exit:
        """``FAILED`` if a result is not accepted, ``UNDECIDED`` if a bias is too noisy to tell."""
        sizes = {size.is_accepted for sizes in self.scales.values() for size in sizes}
        agree = {bias.is_accepted for bias in self.biases}
        if False in sizes | agree:
            return Exit.FAILED
        return Exit.UNDECIDED if None in agree else Exit.FINE


def render(result: Selfcheck) -> str:
    """Return the page in Markdown, with a section for each part that was measured."""
    about = result.environment
    machine, version = escaped(str(about.device_name)), escaped(str(about.torch))
    parts = [
        f"# Self-check: {machine}, PyTorch {version}",
        f"On {about.physical_cores} cores, with the environment variables of workers.",
        *_bias_section(result.biases),
        *_startup_section(result.startups),
        *_handover_section(result.handovers, result.idleness),
        *_scale_section(result.scales),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _bias_section(biases: Sequence[Bias]) -> Iterator[str]:
    if not biases:
        return
    rows = _biases(biases)
    on_device = any(bias.on_device for bias in biases)
    accepted = ACCEPTED_ON_CUDA if on_device else ACCEPTED
    yield from ("## Bias", BIAS.format(accepted=f"{accepted:.0%}"))
    yield as_markdown(filled(_BIAS_COLUMNS, rows), rows)
    if on_device:
        yield ON_DEVICE


def _startup_section(startups: Sequence[Startup]) -> Iterator[str]:
    if startups:
        yield from ("## Start-up", STARTUP.format(workers=startups[0].workers))
        yield as_markdown(_STARTUP_COLUMNS, _startups(startups))


def _handover_section(handovers: Sequence[Handover], idleness: Idleness | None) -> Iterator[str]:
    if idleness is None:
        return
    yield "## Hand-over"
    yield HANDOVER.format(
        pause_ms=BLOCKS.pause_s * 1e3,
        exchange_ms=idleness.exchange_s * 1e3,
        workers=idleness.workers,
        cpu_share=idleness.cpu_share,
    )
    yield as_markdown(_HANDOVER_COLUMNS, _handovers(handovers))


def _scale_section(scales: Mapping[str, Sequence[Scale]]) -> Iterator[str]:
    if scales:
        yield "## Scale"
        yield SCALE.format(limit_s=scale.ACCEPTED_S, limit_gb=scale.ACCEPTED_BYTES / 1e9)
    for layout, sizes in scales.items():
        yield f"**{layout[0].upper()}{layout[1:]}**"
        yield as_markdown(scale.columns(sizes), scale.rows(sizes))


def _biases(biases: Sequence[Bias]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": bias.cell.id,
            "latency_s": bias.latency_s,
            "ratio": bias.ratio.estimate,
            "ratio_low": bias.ratio.low,
            "ratio_high": bias.ratio.high,
            **_on_device(bias),
            "is_accepted": AGREE[bias.is_accepted],
            "empty_step_s": bias.empty_step_s,
        }
        for bias in biases
    )


def _on_device(bias: Bias) -> dict[str, float | None]:
    device = bias.on_device
    return {
        "host_s": device.latency_s if device else None,
        "span_s": device.span_s if device else None,
        "span_ratio": device.ratio.estimate if device else None,
        "span_ratio_low": device.ratio.low if device else None,
        "span_ratio_high": device.ratio.high if device else None,
    }


def _startups(startups: Sequence[Startup]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "way": startup.way,
            "importing_s": startup.importing_s,
            "set_s": median(startup.set_s),
            "measuring_s": median(startup.measuring_s),
            "aa_sd": startup.aa_sd,
            "sets": len(startup.set_s),
        }
        for startup in startups
    )


def _handovers(handovers: Sequence[Handover]) -> pd.DataFrame:
    return pd.DataFrame(
        {"before": _before(item.pause_s), "first": item.first, "second": item.second}
        for item in handovers
    )


def _before(pause_s: float | None) -> str:
    if pause_s is None:
        return "the same worker, no pause"
    return f"another worker, a pause of {pause_s * 1e3:.0f} ms"
