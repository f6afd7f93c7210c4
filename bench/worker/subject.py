"""The subject: a cell's network, ready to be timed, with an answer that was found right."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from bench.cells import archs, inputs, modes
from bench.cells.captured import forget_workspaces
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.tasks import TASKS, Task
from bench.machine import resident
from bench.worker import memory, network
from bench.worker.checks import Checks
from bench.worker.clock import Clock, Step

WARM_UP_WINDOW = 3  # iterations whose medians are compared; a network is within 1 % from the third
SLOW_S = 0.1  # a slower network hardly wobbles: single iterations are compared
WARM_UP_GAIN = 0.03  # a window this much faster than the one before says: not steady yet
WARM_UP_MOST = 50  # iterations
WARM_UP_MOST_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Times, counts and errors found while a subject was made ready in this process."""

    build_s: float
    first_call_s: float
    """The first call and its check; for a compiled mode that is compilation."""
    compile_cached: bool | None
    """Whether Inductor took its code from the cache; None where nothing was compiled."""
    graphs: int
    graph_breaks: int
    weights_bytes: int
    """Parameters and buffers, in the cell's dtype."""
    output_error: float
    """Distance to fp32 eager's output, with the same weights and images (see answers.py)."""
    error_bound: float
    tf32_convolutions: bool
    tf32_products: bool
    """Both TF32 settings while the cell ran."""
    gradient_error: float | None
    """Distance to fp32 eager's gradients; None for inference."""
    resident_before_bytes: int
    """The worker's resident set before it built anything: the interpreter and its libraries."""
    cudagraph_skips: int = 0
    """Graphs that Inductor was asked to replay as CUDA graphs, and does not."""
    batches: int = 1
    """Batches that iterations take in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A task that is ready to be timed, with its setup and its checks."""

    task: Task
    setup: Setup
    checks: Checks
    flush: Step | None = None
    """Empties the cache before an iteration; None where the cache is left alone."""
    apparatus: memory.Held = memory.NOTHING
    """Device memory that only measuring needs."""


def prepare(
    cell: Cell, *, image_size: int, seed: int, threads: int | None = None, l2: str = "warm"
) -> Subject:
    """Build a cell's network, run it and compare its answer with fp32 eager's.

    Everything except compilation runs in ``threads`` threads, so that several workers can prepare
    at once. ``l2`` is the state in which iterations find a GPU's cache (bench/cells/inputs.py).

    Raises ``WrongAnswerError`` where the answers are too far apart, and ``RequestError`` for a
    network that cannot be measured honestly. The network's own errors pass through.
    """
    torch.manual_seed(seed)
    device = torch.device(cell.device)
    dtype = DTYPES[cell.dtype]
    make = TASKS[cell.task]
    resident_before_bytes = resident.now_bytes()

    own_threads = torch.get_num_threads()
    torch.set_num_threads(threads or own_threads)
    start = time.perf_counter()
    built = network.build(archs.find(cell.arch), aux=cell.task == "train", image_size=image_size)
    network.check_mode(built, cell)
    model = built.to(device)
    images = inputs.random_images(cell.batch_size, image_size).to(device)
    network.draw_zeros(model)
    network.calibrate(model, images)
    targets = make.targets(model, images)
    checks = Checks(cell, model)
    checks.ask_eager(images, targets)
    build_s = time.perf_counter() - start
    if device.type == "cuda":
        forget_workspaces()

    if modes.is_compiled(cell.mode):  # compiled code has the number of threads in it
        torch.set_num_threads(own_threads)
    dtype.pin_precision()
    if modes.is_channels_last(cell.mode):
        images = images.contiguous(memory_format=torch.channels_last)
    start = time.perf_counter()
    task = make(modes.apply(cell.mode, model), images, targets, dtype)
    first = checks.first_call(task)
    first_call_s = time.perf_counter() - start
    output_error, gradient_error = checks.before_rounds(task, first)
    torch.set_num_threads(own_threads)
    graphs, graph_breaks = compiled_graphs()
    batches, flush, apparatus = _set_up_cache(task, device, l2)
    return Subject(
        task=task,
        checks=checks,
        flush=flush,
        apparatus=apparatus,
        setup=Setup(
            build_s=build_s,
            first_call_s=first_call_s,
            compile_cached=_compile_cached() if modes.is_compiled(cell.mode) else None,
            graphs=graphs,
            graph_breaks=graph_breaks,
            weights_bytes=memory.of_weights(model),
            output_error=output_error,
            error_bound=(dtype.training_leaf_bound if cell.task == "train" else dtype.error_bound),
            tf32_convolutions=torch.backends.cudnn.allow_tf32,
            tf32_products=torch.backends.cuda.matmul.allow_tf32,
            gradient_error=gradient_error,
            resident_before_bytes=resident_before_bytes,
            cudagraph_skips=(
                cudagraph_skips(graphs) if modes.is_replayed(cell.mode, cell.device) else 0
            ),
            batches=batches,
        ),
    )


def _set_up_cache(
    task: Task, device: torch.device, l2: str
) -> tuple[int, Step | None, memory.Held]:
    """Set a GPU's cache up as ``l2`` says; return the number of batches, the flush, their memory.

    ``bench/cells/plan.py`` refuses ``l2`` for other devices before any worker starts.
    """
    if device.type != "cuda" or l2 == "warm":
        return 1, None, memory.NOTHING
    before = memory.held(device)
    cache_bytes = inputs.l2_bytes(device)
    batches = inputs.batches_for(task.batch.images.nbytes, cache_bytes)
    task.rotate(inputs.like(task.batch, batches - 1))
    flush = inputs.Flush(cache_bytes, device)
    return batches, flush, memory.held(device).beyond(before)


def warm_up(task: Task, clock: Clock, now: Callable[[], float] = time.monotonic) -> list[float]:
    """Iterate until the latency stops falling; the seconds of each iteration."""
    durations: list[float] = []
    start = now()
    with task.context():
        while not is_steady(durations):
            durations += clock.time(task.step, 1).host_s
            if len(durations) >= WARM_UP_MOST or now() - start > WARM_UP_MOST_S:
                break
    return durations


def is_steady(durations: list[float]) -> bool:
    """Whether the last window of iterations is hardly faster than the one before."""
    window = 1 if durations and min(durations) > SLOW_S else WARM_UP_WINDOW
    if len(durations) < 2 * window:
        return False
    last, before = durations[-window:], durations[-2 * window : -window]
    return median(last) >= (1 - WARM_UP_GAIN) * median(before)


def compiled_graphs() -> tuple[int, int]:
    """Graphs that Dynamo captured in this process, and the breaks between them."""
    if "torch._dynamo" not in sys.modules:  # importing it takes seconds, and it captured nothing
        return 0, 0
    from torch._dynamo.utils import counters, graph_break_reasons

    # Its counter of breaks does not count those at a branch on a tensor's value, or in a try.
    return counters["stats"]["unique_graphs"], len(graph_break_reasons)


def cudagraph_skips(graphs: int) -> int:
    """Graphs, of those compiled for it, that Inductor does not replay as CUDA graphs.

    Its counter leaves out graphs in which it found no part to replay. Where it replays nothing at
    all, every graph is skipped.
    """
    if not graphs:
        return 0
    from torch._dynamo.utils import counters

    skips = int(counters["inductor"]["cudagraph_skips"])
    try:
        from torch._inductor.cudagraph_trees import get_manager
    except ImportError:  # it is PyTorch's own affair, and may be elsewhere one day
        return skips
    manager = get_manager(torch.cuda.current_device(), create_if_none_exists=False)
    return graphs if manager is None else skips


def _compile_cached() -> bool:
    """Whether every graph came out of Inductor's cache on disk."""
    from torch._dynamo.utils import counters

    inductor, autograd = counters["inductor"], counters["aot_autograd"]
    hits = inductor["fxgraph_cache_hit"] + autograd["autograd_cache_hit"]
    misses = inductor["fxgraph_cache_miss"] + inductor["fxgraph_cache_bypass"]
    return hits > 0 and misses == 0
