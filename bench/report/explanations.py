"""Explanations of the figures: the text beside each table.

Both the Markdown report and the page use it. It is Markdown without headings.
"""

import math
from collections.abc import Sequence

import pandas as pd

from bench.machine import voiding
from bench.records.record import RunRecord
from bench.report import bottleneck
from bench.tables import escaped
from bench.trust.assessment import Trust

LATENCY = """\
Latency is host time around a call, until its work is done: the median of a set's visits, and the
geometric mean over the sets. It contains the machine's drift, so it is less certain than a ratio.
The p99 of fewer than 100 samples is close to the largest sample. images/s is the batch size divided
by the latency.
"""
HOST_LATENCY = """\
Host latency is host time around a call, until its work is done: the median of a set's visits, and
the geometric mean over the sets. It contains the machine's drift, so it is less certain than a
ratio. The p99 of fewer than 100 samples is close to the largest sample.
"""
RATIOS = """\
"×" is the speedup of a cell (over 1 is faster) over the reference, or over the reference's arch in
the cell's own mode. It is the ratio within a round, in which both cells are visited moments apart;
then the median over the rounds of a set; then the geometric mean over sets of fresh processes.
Drift that slows both cells alike cancels. Between modes, a part of the drift remains; the interval
includes it. The 95 % interval is in brackets: Student's t over the sets, or Yuen's trimmed mean if
one of eight or more sets is far from the others (the notes name these ratios). If the interval
contains 1, no difference has been shown.

MACs are multiply-accumulates of convolutions, linear layers and other matrix products in a forward
pass; FLOPs = 2 × MACs. Compilation is not part of any latency. It is measured by the first call:
cold if Inductor's cache was empty, else warm. The output error is the relative L2 distance to the
output of fp32 eager with the same weights and images. A cell whose error exceeds the bound of its
dtype (in summary.csv) fails.
"""
MEMORY = """\
Memory is the peak of weights and activations, without the interpreter and its libraries. On CUDA it
is the allocator's peak. On a CPU it is the bytes of parameters and buffers, plus the growth of the
resident set during warm-up and measurement, over its size at rest after all free memory was
returned. This is more than the tensors need, because the workers' allocator keeps freed memory. It
is blank if the system cannot reset the peak. The figure is the median over the sets' workers. The
complete resident set is in summary.csv.
"""
ALLOCATED = """\
Memory is the peak of weights, activations and the workspace of cuBLAS (on an H100 32 MiB, PyTorch's
default), as counted by the device's allocator: the memory of tensors (allocated), without the CUDA
context and the code of the libraries.
"""
RESERVED = """\
If CUDA graphs are replayed, memory is the peak of what the allocator keeps (reserved), because a
graph never releases its workspace. Do not compare it with allocated memory. This applies to
{cells}.
"""
ENERGY = """\
J/image is the energy of the whole card, by its own counter, divided by the number of images, while
one worker alone runs iterations for 2 s with no wait between them: the geometric mean over the
sets, with the 95 % interval in brackets. Idle power is not subtracted; it is a large part of the
energy of a launch-bound cell. The L2 cache is not emptied between iterations.
"""
BACK_TO_BACK = """\
On this device a call returns before its work is done, so there are three different times. Host
latency is measured by the host's clock around one call and the wait for its end. Device time is the
span between two events around the same call on the device; it includes the time in which the device
waits for the host to launch work. images/s is measured in back-to-back blocks (iterations with no
wait between them) if there are any, else computed from the host latency; a column names the source.
Nothing empties the L2 cache within a block, whatever --l2 is, so weights may be in the cache, but
the images alternate. Host latency and device time are measured in the cache state that --l2 names.
All figures from blocks have warm weights: images/s, "busy" and its share, bottleneck, saturation.

"busy" is the time for which one iteration keeps the device busy. To measure it, the device is held
up until the whole iteration is enqueued, so it never waits for the host. Divided by the time of an
iteration in a back-to-back block, it is the share of time in which the device works. If the whole
95 % interval of the share is below {least_busy}, the cell is launch-bound: a faster host, CUDA
graphs or a larger batch would help. If the whole interval is above, the cell is compute-bound: the
device needs that time for its arithmetic or its memory. Otherwise it is unclear.
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


def how_to_read(run: RunRecord) -> str:
    """Explain the columns of this run's summary."""
    if not run.has_blocks:
        return "\n".join((LATENCY, RATIOS, MEMORY))
    back_to_back = BACK_TO_BACK.format(least_busy=f"{bottleneck.LEAST_BUSY:.0%}")
    return "\n".join((HOST_LATENCY, RATIOS, ALLOCATED, *_reserved(run), back_to_back))


def _reserved(run: RunRecord) -> list[str]:
    """Name the cells whose memory is what the allocator reserves, if there are any."""
    named = [
        escaped(record.cell.id)
        for record in run.cells
        if record.has_figures and any(setup.memory_is_reserved for setup in record.setups)
    ]
    return [RESERVED.format(cells=", ".join(named))] if named else []


def explain_roofline(run: RunRecord) -> str:
    """Explain the ceiling, the rate (from the times that this run has) and the attainable rate."""
    return _ROOFLINE.format(rate=_RATE_OF_BLOCKS if run.has_blocks else _RATE)


def explain_energy(cells: pd.DataFrame) -> str:
    """Explain how the energy of ``cells`` was measured; empty if it was not measured."""
    return ENERGY if "energy_per_image_j" in cells else ""


def explain_trust(groups: Sequence[Trust]) -> str:
    """Explain voiding by the card's state, and disturbed iterations, if either is known."""
    known = (
        (TRUST_CARD, any(group.voided_by is not None for group in groups)),
        (DISTURBED, not all(math.isnan(group.disturbed_share) for group in groups)),
    )
    return "\n".join(text for text, is_known in known if is_known)
