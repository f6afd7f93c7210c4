"""The self-check in Markdown: ``selfcheck.md``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pandas as pd

from bench.engine.visit_policy import BLOCKS
from bench.exits import Exit
from bench.selfcheck import scale
from bench.selfcheck.bias import ACCEPTED, ACCEPTED_ON_CUDA, Bias
from bench.selfcheck.handover import Handover, Idleness
from bench.selfcheck.scale import Scale
from bench.selfcheck.startup import Startup
from bench.tables import Column, as_markdown, escaped, filled, milliseconds, scaled

FILE = "selfcheck.md"
PERCENT = scaled(100, 1)
NANOSECONDS = scaled(1e9, 0)
SECONDS = scaled(1, 1)

BIAS = """\
Our clock beside `torch.utils.benchmark.Timer.blocked_autorange`, in one process with the same
network, images and threads: a block of ours and one of the Timer's, now one first and now the
other, each without the first of its samples. The ratio is ours over the Timer's, with its 95 %
interval over such pairs, the whole of which should be within {accepted} of 1. What the clock gives
a step that does nothing is all that it can add to an iteration.
"""
ON_DEVICE = """\
On CUDA the Timer waits for the device at the ends of its blocks alone, and stands beside our
back-to-back blocks. `triton.testing.do_bench` takes the time between two events around a call, as
our device span does, and like ours empties the L2 cache before each call. The latency by the host's
clock has the wait for the device in it, and stands beside neither.
"""
STARTUP = """\
A set of {workers} live workers, all with torchvision's GoogLeNet in eager at batch 1: fresh
interpreters, each of which imports torch, beside workers forked from one process that has. Sets of
both ways are measured in turn. As all workers are the same, the log-ratio of two of them should be
0; its standard deviation is what a set adds to the noise of a ratio.
"""
HANDOVER = """\
Iterations of a visit that follows another worker's, held against the rest of that visit. A run
drops the first of fast networks; on a GPU, and where `--environment default` lets threads spin, it
pauses {pause_ms:.0f} ms before each visit and drops the first of all networks. A visit
without an iteration takes {exchange_ms:.2f} ms: request, reply, and nothing between them.
{workers} idle workers together keep {cpu_share:.3f} CPUs busy, counted from right after a visit.
"""
SCALE = """\
What the bookkeeping of a run takes as it grows, with samples made up, each size in a process of its
own. Accepted are {limit_s:.0f} s a stage, and {limit_gb:.0f} GB in all. Ten times as much should
take ten times as long.
"""
AGREE = {True: "yes", False: "NO", None: "too noisy to tell"}
_BIAS_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="latency_s", heading="latency ms", write=milliseconds),
    Column(name="ratio", heading="ours / Timer's", write=scaled(1, 4), bounded=True),
    Column(name="host_s", heading="host latency ms", write=milliseconds),
    Column(name="span_s", heading="device span ms", write=milliseconds),
    Column(name="span_ratio", heading="span / do_bench's", write=scaled(1, 4), bounded=True),
    Column(name="is_accepted", heading="agree", is_text=True),
    Column(name="empty_step_s", heading="empty step ns", write=NANOSECONDS),
)
_STARTUP_COLUMNS = (
    Column(name="way", heading="workers", is_text=True),
    Column(name="importing_s", heading="importing, once, s", write=SECONDS),
    Column(name="set_s", heading="a set s", write=SECONDS),
    Column(name="measuring_s", heading="of it measuring s", write=SECONDS),
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
    """Everything that the suite found out about itself."""

    environment: Mapping[str, Any]
    biases: Sequence[Bias] = ()
    startups: Sequence[Startup] = ()
    handovers: Sequence[Handover] = ()
    idleness: Idleness | None = None
    """Where hand-overs were measured."""
    scales: Mapping[str, Sequence[Scale]] = field(default_factory=dict)
    """Sizes in ascending order, by how their cells lie."""

    @property
    def exit_code(self) -> Exit:
        """Whether the clock is right, and the bookkeeping quick and small enough."""
        sizes = {size.is_accepted for sizes in self.scales.values() for size in sizes}
        agree = {bias.is_accepted for bias in self.biases}
        if False in sizes | agree:
            return Exit.FAILED
        return Exit.UNDECIDED if None in agree else Exit.FINE


def render(found: Selfcheck) -> str:
    """The whole page, of what was measured."""
    about = found.environment
    machine, version = escaped(str(about["device_name"])), escaped(str(about["torch"]))
    parts = [
        f"# Self-check: {machine}, PyTorch {version}",
        f"On {about['physical_cores']} cores, in the environment that workers start with.",
        *_bias_part(found.biases),
        *_startup_part(found.startups),
        *_handover_part(found.handovers, found.idleness),
        *_scale_part(found.scales),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _bias_part(biases: Sequence[Bias]) -> Iterator[str]:
    if not biases:
        return
    rows = _biases(biases)
    on_device = any(bias.on_device for bias in biases)
    accepted = ACCEPTED_ON_CUDA if on_device else ACCEPTED
    yield from ("## Bias", BIAS.format(accepted=f"{accepted:.0%}"))
    yield as_markdown(filled(_BIAS_COLUMNS, rows), rows)
    if on_device:
        yield ON_DEVICE


def _startup_part(startups: Sequence[Startup]) -> Iterator[str]:
    if startups:
        yield from ("## Start-up", STARTUP.format(workers=startups[0].workers))
        yield as_markdown(_STARTUP_COLUMNS, _startups(startups))


def _handover_part(handovers: Sequence[Handover], idleness: Idleness | None) -> Iterator[str]:
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


def _scale_part(scales: Mapping[str, Sequence[Scale]]) -> Iterator[str]:
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
    on = bias.on_device
    return {
        "host_s": on.latency_s if on else None,
        "span_s": on.span_s if on else None,
        "span_ratio": on.ratio.estimate if on else None,
        "span_ratio_low": on.ratio.low if on else None,
        "span_ratio_high": on.ratio.high if on else None,
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
        {"before": _before(found.pause_s), "first": found.first, "second": found.second}
        for found in handovers
    )


def _before(pause_s: float | None) -> str:
    if pause_s is None:
        return "the same worker's, at once"
    return f"another's, and a pause of {pause_s * 1e3:.0f} ms"
