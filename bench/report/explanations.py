"""Explanations of the figures: the text beside each table.

All formats use it. It is plain text: paragraphs, separated by blank lines.
"""

import math
from collections.abc import Sequence

from bench import metrics
from bench.machine import voiding
from bench.metrics.metric import Metric, Place
from bench.records.record import RunRecord
from bench.report import frame
from bench.tables import filled
from bench.trust.assessment import Trust

INTERVALS = """\
The 95 % interval is in brackets: Student's t over the sets, or Yuen's trimmed mean if one of eight
or more sets is far from the others (the notes name these ratios).
"""
BACK_TO_BACK = """\
On this device a call returns before its work is done, so there are three different times: host
latency, device time, and the time of an iteration in back-to-back blocks (iterations with no wait
between them). Nothing empties the L2 cache within a block, whatever --l2 is, so weights may be in
the cache, but the images alternate. Host latency and device time are measured in the cache state
that --l2 names. All figures from blocks have warm weights: images/s, "busy" and its share,
bottleneck, saturation.
"""
FINDINGS = """\
A difference is reported as shown only if the 95 % interval of its ratio does not contain 1. Of
twenty comparisons of equal things, one is shown by chance; if only a few differences are shown,
most of them may be chance. Ratios to the same reference are not independent: if its processes were
slow by chance, all of the ratios are too high.
"""
SATURATION = """\
"Saturated" is the smallest batch whose throughput is within 5 % of the best measured one. The share
of the best is computed within each set, and its interval over the sets. The result holds by the
intervals if the batch's own interval is entirely above 95 % and no smaller batch's interval reaches
95 %; otherwise it holds by the estimates alone. Neither is proof. Batch sizes are measured minutes
apart within a set, so only drift slower than a set cancels. The best is picked from the same
figures, so it is rather too high, and the shares are too low.
"""
LARGEST = """\
Each size was tried in a fresh worker, alone on its device: three iterations on one batch of random
images, without checks. Sizes were doubled until one did not fit; then the gap was halved until it
was at most a thirty-second of the size. A batch that fits here may not fit in a measurement: there,
a cell is alive together with its control and the reference, and its output is checked against that
of fp32 eager, which also needs memory.
"""
LADDER = """\
Each step changes one factor, in the same mode; dropouts, which act only in training, change
together with the last pool. Networks that were never alive together are compared through the
reference, set by set. The ratios of latency and images/s are after / before, with the 95 %
interval; Δ ms assumes that the latency before is exact. An interaction is the ratio of both factors
together, divided by the product of the ratios of each alone: 1 if the factors are independent.
"""
TRUST = """\
The control is the reference measured a second time, in a separate worker. Its ratio should be 1; if
the 99 % interval does not contain 1, do not trust any figure here. Sets were added until the 95 %
interval of every ratio was as narrow as the requested precision, or time was up. With few ratios,
the intervals are therefore slightly too narrow (with one ratio, 89 to 95 in 100 contain the truth).
A round was voided as a whole if other processes kept the CPUs busy, independent of its timing.
"""
TRUST_CARD = """\
A round was also voided if the card was slowed down because of its temperature or the power supply's
alarm, or if another process used it, as far as its driver reports that. A card at its power limit
is reported, but its rounds count.
"""
DISTURBED = f"""\
In the other rounds, an iteration is disturbed if its threads were ready to run while other
processes used the CPU, for more than {voiding.MOST_WAITED:.0%} of its time by Linux's accounts. It
does not count and was repeated, at most as often as there were iterations to time. If too few
undisturbed iterations remained, the least disturbed ones count. If more threads ran than there are
CPUs, as in training on a CPU, the disturbance is unknown and every iteration counts.
"""
_ROOFLINE = """\
The ceiling of a dtype is the best rate of large matrix products and convolutions in PyTorch's own
library, in either memory format, with the workers' number of threads, measured before the first set
(on a GPU, several calls together, without the gap before a launch). {rate}. The attainable rate is
the ceiling or, if that is less, the bandwidth of large copies (bytes read and written) times the
cell's MACs per byte that it must move at least: its weights read once, and the outputs of its
convolutions and products written once and read once.
The table names the lower of the two. A cell far below it is limited by something else.

A share over 100 % means that the machine was slower while its ceiling was measured than while the
cell was; or, if the cell is bound by memory, that its activations stayed in a cache.
"""
_RATE = """\
A cell's rate is its multiply-accumulates divided by its latency, with the 95 % interval of the
latency"""
_RATE_OF_BLOCKS = """\
A cell's rate is its multiply-accumulates per image times its images/s, with the 95 % interval of
images/s. That is measured in back-to-back blocks if there are any (in which nothing empties the L2
cache), else computed from the host latency"""


def metrics_shown(run: RunRecord) -> list[tuple[str, str]]:
    """Return the heading and the explanation of each metric in this run's tables."""
    cells = frame.summary(run)
    shown = [(metric, metric.column(run)) for metric in metrics.applying(run, Place.SUMMARY)]
    return [
        (" ".join(column.heading.split()), _explained(metric))
        for metric, column in shown
        if metric.explanation and filled((column,), cells)
    ]


def _explained(metric: Metric) -> str:
    """Return a metric's explanation, and which values are better."""
    better = f" {metric.better.capitalize()} is better." if metric.better else ""
    return f"{metric.explanation}{better}"


def explain_roofline(run: RunRecord) -> str:
    """Explain the ceiling, the rate (from the times that this run has) and the attainable rate."""
    return _ROOFLINE.format(rate=_RATE_OF_BLOCKS if run.has_blocks else _RATE)


def explain_trust(groups: Sequence[Trust]) -> str:
    """Explain voiding by the card's state, and disturbed iterations, if either is known."""
    known = (
        (TRUST_CARD, any(group.voided_by is not None for group in groups)),
        (DISTURBED, not all(math.isnan(group.disturbed_share) for group in groups)),
    )
    return "\n".join(text for text, is_known in known if is_known)
