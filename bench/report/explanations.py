"""What a reader must know of the figures: the text that stands with each table.

Of Markdown and of the page alike, in Markdown without headings.
"""

import math
from collections.abc import Sequence

import pandas as pd

from bench.machine import voiding
from bench.records.record import RunRecord
from bench.report import bottleneck
from bench.report.trust import Trust
from bench.tables import escaped

LATENCY = """\
Latency is host time around a call, to the end of its work: the geometric mean over the sets of
their median; the machine's drift is in it, so that it is less sure than the ratios. p99 of fewer
than 100 samples is close to their largest. images/s is the batch size over the latency.
"""
HOST_LATENCY = """\
Host latency is host time around a call, to the end of its work: the geometric mean over the sets of
their median; the machine's drift is in it, so that it is less sure than the ratios. p99 of fewer
than 100 samples is close to their largest.
"""
RATIOS = """\
"×" is how many times as fast as the reference a cell is (over 1 is faster), or as the reference's
arch in the cell's own mode: the median over a set's rounds of the ratio within a round, where both
were visited moments apart, and the geometric mean over sets of fresh processes. Drift that slows
both alike cancels; between modes a part of it stays, and is in the interval. In brackets stands the
95 % interval, Student's t over the sets (Yuen's trimmed mean where of eight or more one is far from
the others; the notes name them): a difference that it contains has not been shown.

MACs are multiply-accumulates of convolutions, linear layers and other matrix products in a forward
pass; FLOPs = 2 × MACs. Compilation is in no latency: it is the first call's, cold where Inductor
had nothing in its cache, else warm. The output error is the relative L2 distance to fp32 eager's
output of the same weights and images; a cell past its dtype's bound (in summary.csv) fails.
"""
MEMORY = """\
Memory is the peak of weights and activations, without the interpreter and its libraries: on CUDA
the allocator's peak; on a CPU the bytes of parameters and buffers, and what the resident set grew
by, over its size at rest with all free memory given back, while the worker was warmed up and
measured: more than tensors take, since the allocator that workers are given keeps what is free; and
blank where the system does not let the peak be reset. It is the median of the sets' workers. The
whole resident set stands in summary.csv.
"""
ALLOCATED = """\
Memory is the peak of weights and activations, and of what cuBLAS works in (on an H100 32 MiB, by
PyTorch's default), as the device's allocator has it: what tensors take (allocated), with nothing of
the context and the libraries' code.
"""
RESERVED = """\
Where CUDA graphs are replayed, memory is the peak of what the allocator keeps (reserved), since a
graph never gives back what it works in; the two are not to be compared. So it is of {cells}.
"""
ENERGY = """\
J/image is what the whole card took, by its own counter, over the images of 2 s in which one worker
alone ran iterations one after the other, with no wait between them: the geometric mean over the
sets, in brackets its 95 % interval. Idle power is not subtracted: of a launch-bound cell much of it
is that. The L2 cache is not emptied in between.
"""
BACK_TO_BACK = """\
On this device a call returns before its work is done, so that there are three times, each its own.
Host latency, the first, is the host's clock around one call and the wait for its end. The device's
is the span between two events around the same call on the device; the time that it waited for the
host to launch something is in it. images/s is from blocks of iterations with no wait between them,
where there are any, and from the host latency where not: a column says which. Nothing empties the
L2 cache within a block, whatever --l2 says, so that weights may be found in it, though images are
taken in turn; host latency and the device's span are of the state that --l2 names. What is made of
blocks has warm weights too: images/s, "busy" and its share, bottleneck, saturation.

What an iteration keeps the device busy for ("busy") is measured while the device is held up until
all of it is enqueued, so that it never waits for the host. Over what an iteration takes in a
back-to-back block that is the share of the time in which the device works. Where its whole 95 %
interval lies under {least_busy} the cell is launch-bound: a faster host, CUDA graphs or a larger
batch would help it. Where it lies over, it is compute-bound: the device takes that long, for its
arithmetic or its memory. Else it is unclear.
"""
FINDINGS = """\
Only where the 95 % interval of a ratio does not contain 1 is a difference said to be shown; of
twenty comparisons of equal things one is shown by chance, so that where few are shown, most may be.
Ratios to one reference share it: where its processes were slow by chance, all of them are too high.
"""
SATURATION = """\
Saturated is the smallest batch whose throughput is within 5 % of the best of those measured. The
share of the best is taken within each set, and its interval over the sets: it is so by the
intervals where the whole of its own, and none of a smaller batch's, lies over 95 %, else by the
estimates alone. Neither is proof: batch sizes are measured minutes apart within a set, so that only
drift slower than a set cancels; and the best is picked from the same figures, so that it is rather
too high, and the shares too low.
"""
LARGEST = """\
Each size was tried in a fresh worker, alone on its device: three iterations on one batch of random
images, nothing checked. Sizes were doubled until one did not fit and then halved, down to a
thirty-second. None of them is measured here: a cell is alive beside its control and the reference,
and its answer is checked against fp32 eager's, all of which takes memory too.
"""
LADDER = """\
Each step changes one factor, in the same mode; dropouts, which act in training alone, go with the
last pool's. Networks that were never alive together are compared through the reference, set by set.
Latency and images/s are what comes after over what was before, with the 95 % interval; Δ ms is that
of the latency before, taken as exact. An interaction is the ratio of both factors together to the
product of each alone: 1 where they add up.
"""
TRUST = """\
The control is the reference measured a second time, in a worker of its own: its ratio should be 1,
and where the 99 % interval does not contain 1 nothing here is to be trusted. Sets were added until
every ratio's 95 % interval reached no further than the precision asked for, or time was up; of few
ratios that leaves intervals a little too narrow (of one, 89 to 95 in 100 hold the truth). A round
in which other processes kept the CPUs busy was voided whole, whatever its timing.
"""
TRUST_CARD = """\
So was one in which the card was slowed down for its heat or by the power supply's alarm, and one in
which somebody else used it, as far as its driver tells. A card at its power limit is told of, and
counts.
"""
DISTURBED = f"""\
Of the other rounds an iteration is disturbed where its threads were ready for a CPU that others
had, by Linux's accounts for more than {voiding.MOST_WAITED:.0%} of its time. It does not count, and
was tried again, as often as there were iterations to be timed; where too few were left even so,
those disturbed least count. Where more threads ran than there are CPUs, as in training on a CPU,
nothing is known of that, and every iteration counts.
"""
_ROOFLINE = """\
The ceiling of a dtype is the best rate that large matrix products and convolutions of PyTorch's own
library reached in either memory format, in the threads that workers have, measured before the first
set (on a GPU several calls together, without the gap before a launch); {rate}. What is attainable
is the ceiling or, where that is less, the bandwidth of large copies (bytes read and written) times
the cell's MACs for each byte that it must move at the least: its weights read once, and what its
convolutions and products put out written once and read once.
The lower of the two is named; what keeps a cell that is far below it there is something else.

A share over 100 % says that the machine was slower while its ceiling was measured than while the
cell was; or, of a cell bound by memory, that its activations stayed in a cache.
"""
_RATE = """\
a cell's rate is its multiply-accumulates over its latency, with the 95 % interval that
the latency has"""
_RATE_OF_BLOCKS = """\
a cell's rate is its multiply-accumulates for each image times its images/s, of
back-to-back blocks where there are any (in which nothing empties the L2 cache) and else at its host
latency, with the 95 % interval of either"""


def how_to_read(run: RunRecord) -> str:
    """What the columns mean that this run has."""
    if not run.has_blocks:
        return "\n".join((LATENCY, RATIOS, MEMORY))
    back_to_back = BACK_TO_BACK.format(least_busy=f"{bottleneck.LEAST_BUSY:.0%}")
    return "\n".join((HOST_LATENCY, RATIOS, ALLOCATED, *_reserved(run), back_to_back))


def _reserved(run: RunRecord) -> list[str]:
    """A note that names the cells whose memory is what the allocator keeps."""
    named = [
        escaped(record.cell.id)
        for record in run.cells
        if record.has_figures and any(setup.get("memory_is_reserved") for setup in record.setups)
    ]
    return [RESERVED.format(cells=", ".join(named))] if named else []


def of_roofline(run: RunRecord) -> str:
    """What a rate and what is attainable are, and which times this run's rates are from."""
    return _ROOFLINE.format(rate=_RATE_OF_BLOCKS if run.has_blocks else _RATE)


def of_energy(cells: pd.DataFrame) -> str:
    """How the energy of ``cells`` was measured; empty where it was not."""
    return ENERGY if "energy_per_image_j" in cells else ""


def of_trust(found: Sequence[Trust]) -> str:
    """What else does not count, as far as a card's state and the scheduler's accounts are known."""
    known = (
        (TRUST_CARD, any(one.voided_by is not None for one in found)),
        (DISTURBED, not all(math.isnan(one.disturbed_share) for one in found)),
    )
    return "\n".join(text for text, is_known in known if is_known)
