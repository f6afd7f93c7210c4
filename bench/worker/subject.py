"""The subject of a measurement: a cell's network, ready to be timed and with a checked answer."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import torch

from bench.archs.source import Shape
from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.inputs import Draw, Drawing
from bench.cells.tasks import TASKS, Answer, Task
from bench.executors.cudagraphs import forget_workspaces
from bench.executors.executor import Executor
from bench.machine import resident
from bench.worker import assembly, memory, network
from bench.worker.checks import Checks
from bench.worker.clock import Clock, Step
from bench.worker.correctness import Errors

# Iterations per window; the medians of two windows are compared. A network is within 1 % from the
# third iteration on.
WARM_UP_WINDOW = 3
SLOW_S = 0.1  # slower networks vary little, so that single iterations are compared
WARM_UP_GAIN = 0.03  # a window that is faster than the previous one by more than this is not steady
MAX_WARM_UP_ITERATIONS = 50
MAX_WARM_UP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """Times, counts and errors from the preparation of a subject in this process."""

    build_s: float
    first_call_s: float
    """Wall time of the first call and its check, in seconds; includes compilation."""
    compile_cached: bool | None
    """Whether Inductor took all code from its cache; None if the mode is not compiled."""
    graphs: int
    graph_breaks: int
    weights_bytes: int
    """Size of parameters and buffers in the cell's dtype."""
    output_error: float
    """Distance to fp32 eager's output for the same weights and images (correctness.py)."""
    error_bound: float
    tf32_convolutions: bool
    tf32_products: bool
    """TF32 settings while the cell ran, for convolutions and for matrix products."""
    gradient_error: float | None
    """Distance to fp32 eager's gradients; None for inference."""
    resident_before_bytes: int
    """Resident set before the network was built: the interpreter and its libraries."""
    cudagraph_skips: int = 0
    """Number of graphs that should be replayed as CUDA graphs but that Inductor skipped."""
    batches: int = 1
    """Number of batches that iterations use in turn."""
    image_size: int | None = None
    """Height and width of the images in pixels; None for other inputs."""
    input_shapes: tuple[str, ...] = ()
    """Shape of each input without the batch; empty for images."""
    executor_settings: Mapping[str, str] = field(default_factory=dict)
    """Versions and settings of the executor, as its library reports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A task that is ready to be timed, with its setup and its checks."""

    task: Task
    setup: SubjectFacts
    checks: Checks
    flush: Step | None = None
    """Empties the GPU's cache before an iteration; None if the cache is not emptied."""
    apparatus: memory.DeviceMemory = memory.NO_MEMORY
    """Device memory that only the measurement uses."""
    kept_bytes: int = 0
    """Working memory that the program keeps between calls outside PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assembled:
    """A task that was not called yet, and the checks of its answers."""

    task: Task
    checks: Checks
    draw: Drawing
    input_shapes: tuple[str, ...]
    build_s: float
    start_s: float
    """When assembling began, on the clock ``time.perf_counter``."""


def prepare(
    cell: Cell,
    *,
    image_size: int | None,
    input_shape: Shape | None = None,
    seed: int,
    threads: int | None = None,
    l2: str = "warm",
    was_compiled: bool = False,
    is_profiled: bool = False,
) -> Subject:
    """Build a cell's network, run it and compare its answer with fp32 eager's.

    ``image_size`` is the height and width of images in pixels; None for what the network is made
    for, or ``input_shape`` if it does not say that. Everything runs in ``threads`` threads, so that
    several workers can prepare at once, except what depends on the number of threads. ``l2`` is the
    state of a GPU's L2 cache before each iteration (bench/cells/inputs.py). ``was_compiled``:
    whether the same cell was compiled before. ``is_profiled``: whether its operators will be
    profiled at the end.

    Raises ``WrongAnswerError`` if the answers differ too much, and ``RequestError`` for a network
    that cannot be measured correctly. The network's own errors pass through.
    """
    torch.manual_seed(seed)
    resident_before_bytes = resident.now_bytes()
    own_threads = torch.get_num_threads()
    torch.set_num_threads(threads or own_threads)
    assembled = _assemble(
        cell,
        image_size,
        input_shape,
        threads=own_threads,
        was_compiled=was_compiled,
        is_profiled=is_profiled,
    )
    task, checks = assembled.task, assembled.checks
    first_answer, kept_bytes = _first_call(task, checks, modes.parse(cell.mode).executor)
    first_call_s = time.perf_counter() - assembled.start_s
    errors = checks.before_rounds(task, first_answer)
    torch.set_num_threads(own_threads)
    batches, flush, apparatus = _set_up_cache(task, assembled.draw, torch.device(cell.device), l2)
    return Subject(
        task=task,
        checks=checks,
        flush=flush,
        apparatus=apparatus,
        kept_bytes=kept_bytes,
        setup=_facts(
            cell,
            assembled,
            errors,
            first_call_s=first_call_s,
            resident_before_bytes=resident_before_bytes,
            batches=batches,
        ),
    )


def _assemble(
    cell: Cell,
    image_size: int | None,
    input_shape: Shape | None,
    *,
    threads: int,
    was_compiled: bool,
    is_profiled: bool,
) -> _Assembled:
    """Build a network, compute the answers that are expected of it, and make it a task.

    ``threads`` are those that the task will run in.
    """
    device = torch.device(cell.device)
    start = time.perf_counter()
    draw = assembly.drawing(cell, image_size, input_shape)
    model = assembly.build(cell, draw).to(device)
    example = inputs.to(draw(cell.batch_size), device)
    network.draw_zeros(model)
    network.calibrate(model, draw, example)
    targets = TASKS[cell.task].targets(model, example)
    checks = Checks(cell, model)
    checks.compute_expected(model, example, targets, draw)
    build_s = time.perf_counter() - start
    if device.type == "cuda":
        forget_workspaces()

    if modes.parse(cell.mode).fixes_threads:
        torch.set_num_threads(threads)
    start_s = time.perf_counter()
    task = assembly.assemble(
        cell,
        model,
        example,
        targets,
        threads=threads,
        was_compiled=was_compiled,
        is_profiled=is_profiled,
    )
    # The model and the example are freed here, before the first call: a rewrite may have copied
    # them.
    return _Assembled(
        task=task,
        checks=checks,
        draw=draw,
        input_shapes=() if draw.image_size else inputs.shapes(example),
        build_s=build_s,
        start_s=start_s,
    )


def _facts(
    cell: Cell,
    assembled: _Assembled,
    errors: Errors,
    *,
    first_call_s: float,
    resident_before_bytes: int,
    batches: int,
) -> SubjectFacts:
    """Return the facts of a task after its first call."""
    task, dtype = assembled.task, assembled.checks.dtype
    graphs, graph_breaks = compiled_graphs()
    output_error, gradient_error = errors
    is_replayed = modes.parse(cell.mode).is_replayed(cell.device)
    return SubjectFacts(
        build_s=assembled.build_s,
        first_call_s=first_call_s,
        compile_cached=task.program.was_cached(),
        graphs=graphs,
        graph_breaks=graph_breaks,
        weights_bytes=memory.weights_bytes(task.model),
        output_error=output_error,
        error_bound=dtype.training_leaf_bound if cell.task == "train" else dtype.error_bound,
        tf32_convolutions=torch.backends.cudnn.allow_tf32,
        tf32_products=torch.backends.cuda.matmul.allow_tf32,
        gradient_error=gradient_error,
        resident_before_bytes=resident_before_bytes,
        cudagraph_skips=cudagraph_skips(graphs) if is_replayed else 0,
        batches=batches,
        image_size=assembled.draw.image_size,
        input_shapes=assembled.input_shapes,
        executor_settings={name: str(value) for name, value in task.program.settings().items()},
    )


def _first_call(task: Task, checks: Checks, executor: Executor) -> tuple[Answer, int]:
    """Return the answer of the first call, and the bytes that the executor keeps after it."""
    if not executor.keeps_memory:
        return checks.first_call(task), 0
    memory.trim()  # memory that was free before would hide the growth
    before_bytes = resident.now_bytes()
    answer = checks.first_call(task)
    return answer, max(0, resident.now_bytes() - before_bytes)


def _set_up_cache(
    task: Task, draw: Draw, device: torch.device, l2: str
) -> tuple[int, Step | None, memory.DeviceMemory]:
    """Prepare a GPU's cache as ``l2`` says; return the number of batches, the flush, their memory.

    ``bench/cells/plan_values.py`` rejects ``l2`` for other devices before any worker starts.
    """
    if device.type != "cuda" or l2 == "warm":
        task.rotate(())  # the checks wrote other inputs into its batch
        return 1, None, memory.NO_MEMORY
    before = memory.in_use(device)
    cache_bytes = inputs.l2_bytes(device)
    batch_bytes = sum(tensor.nbytes for tensor in task.batch.inputs)
    batches = inputs.batches_for(batch_bytes, cache_bytes)
    task.rotate(inputs.similar_batches(task.batch, draw, batches - 1))
    flush = inputs.Flush(cache_bytes, device)
    return batches, flush, memory.in_use(device).increase_over(before)


def warm_up(task: Task, clock: Clock, now: Callable[[], float] = time.monotonic) -> list[float]:
    """Iterate until the latency stops falling; return the seconds of each iteration."""
    durations: list[float] = []
    start = now()
    with task.context():
        while not is_steady(durations):
            durations += clock.time(task.step, 1).host_s
            if len(durations) >= MAX_WARM_UP_ITERATIONS or now() - start > MAX_WARM_UP_S:
                break
    return durations


def is_steady(durations: list[float]) -> bool:
    """Return whether the last window is at most ``WARM_UP_GAIN`` faster than the previous one."""
    window = 1 if durations and min(durations) > SLOW_S else WARM_UP_WINDOW
    if len(durations) < 2 * window:
        return False
    last, previous = durations[-window:], durations[-2 * window : -window]
    return median(last) >= (1 - WARM_UP_GAIN) * median(previous)


def compiled_graphs() -> tuple[int, int]:
    """Return the numbers of graphs and of graph breaks that Dynamo has recorded in this process."""
    if "torch._dynamo" not in sys.modules:  # not imported: nothing was captured
        return 0, 0
    from torch._dynamo.utils import counters, graph_break_reasons

    # Dynamo's counter of breaks omits those at a branch on a tensor's value, and those in a try.
    return counters["stats"]["unique_graphs"], len(graph_break_reasons)


def cudagraph_skips(graphs: int) -> int:
    """Return how many of ``graphs`` compiled graphs Inductor does not replay as CUDA graphs.

    Inductor's counter omits graphs in which it found no part to replay. If it replays nothing at
    all, every graph is skipped.
    """
    if not graphs:
        return 0
    from torch._dynamo.utils import counters

    skips = int(counters["inductor"]["cudagraph_skips"])
    try:
        from torch._inductor.cudagraph_trees import get_manager
    except ImportError:  # a private part of PyTorch, which may move
        return skips
    manager = get_manager(torch.cuda.current_device(), create_if_none_exists=False)
    return graphs if manager is None else skips
