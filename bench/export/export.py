"""Export of a cell's network to files, which are kept only if their answer is right."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from bench import archs
from bench.archs.source import Arch, Inputs, Shape
from bench.cells import inputs, leaves, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Drawing
from bench.cells.tasks import TASKS, Answer, Task
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.executor import Program
from bench.executors.file_format import FileFormat
from bench.executors.request import ExecutorRequest
from bench.export import fresh, program
from bench.export.weights import with_weights
from bench.worker import assembly, correctness, failure, network
from bench.worker.correctness import WrongAnswerError

SEED = 0  # of the weights, if none are given, and of the inputs


class CheckError(Exception):
    """The file's answer in a fresh process is wrong, or there is none; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Files that were written and checked."""

    paths: tuple[Path, ...]
    """The file that is loaded, then those beside it that it needs."""
    size_bytes: int
    """Size of all files."""
    error: float
    """Relative L2 distance of the answer in a fresh process from that of fp32 eager."""
    error_bound: float
    program: str
    """The complete program that loads and runs the file."""


class _Written(Program):
    """Takes the place of an executor's program: the network is in a file."""

    def __init__(self, request: ExecutorRequest) -> None:
        self.request = request


def export(
    cell: Cell,
    path: Path,
    *,
    weights: Path | None = None,
    image_size: int | None = None,
    input_shape: Shape | None = None,
    replaces: bool = False,
) -> Exported:
    """Write a cell's network to ``path``, check it in a fresh process, and return what was written.

    ``weights``: file of a state dict; None for random weights. ``replaces``: whether existing files
    are replaced. Raises ``RequestError`` for a network, mode or path for which this does not work,
    and ``CheckError`` if the answer is wrong. Then nothing is written.
    """
    form = file_format(cell.mode)
    check_path(path, form, cell.mode, replaces=replaces)
    arch = archs.find(cell.arch)
    if weights is not None:
        arch = with_weights(arch, weights)
    draw = Drawing(arch, image_size, input_shape)
    torch.manual_seed(SEED)
    # In the same folder, so that the files can be moved to their places at once.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        kept, exchanged = Path(folder, "kept"), Path(folder, "exchanged")
        kept.mkdir()
        exchanged.mkdir()
        request, example, expected = _write(
            cell, arch, draw, form, kept / path.name, is_random=weights is None
        )
        lines = program.lines(cell, form, request)
        error, bound = _check(cell, form, lines, kept / path.name, example, expected, exchanged)
        size_bytes = sum(each.stat().st_size for each in kept.iterdir())
        paths = _move(kept, path, replaces=replaces)
    return Exported(
        paths=paths,
        size_bytes=size_bytes,
        error=error,
        error_bound=bound,
        program=program.complete(cell, form, request, path),
    )


def file_format(mode: str) -> FileFormat:
    """Return the file format of a mode; raise ``RequestError``, with the reason, if it has none."""
    parsed = modes.parse(mode)
    for rewrite in parsed.rewrites:
        if rewrite.not_exported:
            raise RequestError(f"mode {mode!r} cannot be exported: {rewrite.not_exported}")
    executor = parsed.executor
    if executor.file is None:
        reason = executor.not_exported or (
            f"the executor {executor.name} does not say how (Executor.file); choose the mode eager"
        )
        raise RequestError(f"mode {mode!r} cannot be exported: {reason}")
    silent = [each.name for each in program.making_ready(parsed) if not each.code]
    if executor.file.loads_module and silent:
        raise RequestError(
            f"mode {mode!r} cannot be exported: {silent[0]} does not say how a user writes it "
            "(code); choose the mode eager"
        )
    return executor.file


def check_path(path: Path, form: FileFormat, mode: str, *, replaces: bool) -> None:
    """Raise ``RequestError`` if a file of this format cannot be written to a path."""
    if path.suffix != form.suffix:
        raise RequestError(
            f"mode {mode!r} is exported as {form.what}, so the file's name must end with "
            f"{form.suffix}: -o {path.with_suffix(form.suffix) if path.name else form.suffix}"
        )
    if path.is_dir():
        raise RequestError(f"{path} is a folder: name a file (-o)")
    if not path.parent.is_dir():
        raise RequestError(f"the folder {path.parent} does not exist: create it first")
    _check_absent([path], replaces=replaces)


def _check_absent(paths: Sequence[Path], *, replaces: bool) -> None:
    for path in paths:
        if path.exists() and not replaces:
            raise RequestError(f"{path} exists: name another file (-o), or replace it with --force")


def _write(
    cell: Cell, arch: Arch, draw: Drawing, form: FileFormat, path: Path, *, is_random: bool
) -> tuple[ExecutorRequest, Inputs, Answer]:
    """Write a network; return its request, inputs as the file takes them, and eager's answer."""
    try:
        model, example = _built(cell, arch, draw, is_random=is_random)
        # Not the inputs that the file is made with, which could have become constants of it.
        others = inputs.to(draw(cell.batch_size), example[0].device)
        targets = TASKS[cell.task].targets(model, example)
        eager = assembly.assemble(
            replace(cell, mode="eager", dtype="fp32"), model, example, targets
        )
        expected = _expected(eager, others)
        executor = replace(
            modes.parse(cell.mode).executor, prepare=partial(_write_with, form, path)
        )
        task = assembly.assemble(cell, model, example, targets, executor=executor)
    except (RequestError, ModuleNotFoundError):
        raise
    except Exception as error:  # a network may fail in any way
        raise RequestError(f"{cell.arch}: {one_line(error)}{failure.hint(error)}") from error
    request = task.program.request  # type: ignore[attr-defined]
    taken = tuple(map(torch.empty_like, request.example))  # keeps dtype and memory format
    inputs.copy_into(taken, others)
    return request, taken, expected


def _write_with(
    form: FileFormat, path: Path, model: nn.Module, request: ExecutorRequest
) -> Program:
    form.write(model, request, path)
    return _Written(request)


def _built(cell: Cell, arch: Arch, draw: Drawing, *, is_random: bool) -> tuple[nn.Module, Inputs]:
    """Return a network on its device, and inputs; random weights are those that are measured."""
    device = torch.device(cell.device)
    model = network.build(arch, aux=False, draw=draw)
    network.check_mode(model, cell)
    model = model.to(device)
    example = inputs.to(draw(cell.batch_size), device)
    if is_random:
        network.draw_zeros(model)
        network.calibrate(model, draw, example)
    return model, example


def _expected(eager: Task, example: Inputs) -> Answer:
    """Return the tensors of eager's answer to inputs."""
    with eager.context():
        output = eager.program.run(inputs.clone(example))
    return _answer([each for each in pytree.tree_leaves(output) if isinstance(each, Tensor)])


def _answer(tensors: list[Tensor]) -> Answer:
    output = tensors[0] if len(tensors) == 1 else tensors
    return Answer(outputs=leaves.flatten(output, "output"), gradients=None)


def _check(
    cell: Cell,
    form: FileFormat,
    lines: str,
    path: Path,
    example: Inputs,
    expected: Answer,
    folder: Path,
) -> tuple[float, float]:
    """Return the error of a file's answer, and the bound that it keeps."""
    dtype = DTYPES[cell.dtype].allowing(modes.parse(cell.mode).error_budget)
    try:
        answer = _answer(fresh.answer(path, form, lines, example, folder))
        error, _ = correctness.check(answer, expected, dtype)
    except fresh.FreshError as failed:
        raise CheckError(
            f"the file cannot be loaded and run in a fresh process without googlenet-bench "
            f"({failed}), so it is not kept"
        ) from failed
    except WrongAnswerError as wrong:
        raise CheckError(
            f"the file is not kept, because its answer in a fresh process is wrong: {wrong}"
        ) from wrong
    return error, dtype.error_bound


def _move(kept: Path, path: Path, *, replaces: bool) -> tuple[Path, ...]:
    """Move files to their places, the one that is loaded last; return it, then the others."""
    others = sorted(each.name for each in kept.iterdir() if each.name != path.name)
    targets = [path.parent / name for name in (*others, path.name)]
    _check_absent(targets, replaces=replaces)
    for target in targets:
        (kept / target.name).replace(target)
    return (targets[-1], *targets[:-1])
