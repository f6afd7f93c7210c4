"""The commands about exact counts: ``baseline`` writes them, ``gate --static`` compares them.

Exit codes of ``gate --static``: 0 if no count differs from the baseline, 1 if any differs, even for
the better, 2 if the baseline or the request is invalid.
"""

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from bench import names, pyproject
from bench.api import project
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, flag, read_parsed
from bench.api.profiles import PROFILES
from bench.archs import source_file
from bench.archs.source import IMAGE_SIZE, Shape
from bench.cells import modes, plan_values
from bench.cells.cell import Cell, arch_of
from bench.cells.dtypes import DTYPES
from bench.cli.command import Commands, Output, Purpose
from bench.columns import IN_FULL, Column, scaled
from bench.counts import baseline, baseline_file, count_client
from bench.counts.baseline import RULES, Baseline, Change, CountDifference, Counts
from bench.errors import RequestError
from bench.pyproject import FILE
from bench.tables import FORMATS, PROSE
from bench.units import counted

DIFFERS = 1
DEVICE = "cpu"  # counts are made on a CPU, even if the machine has a GPU
COUNT = scaled(1, 0)
DEFAULT_PATH = f"baseline of {pyproject.heading()} in {FILE}, or else {baseline.PATH}"
PROFILE = PROFILES["quick"]
DEFAULTS: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "archs": PROFILE.archs,
        "modes": PROFILE.modes,
        "dtypes": ("fp32",),
        "batch_sizes": PROFILE.batch_sizes(DEVICE),
        "tasks": ("infer",),
    }
)
RUNS_ON_CPU: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "modes": lambda name: all(DEVICE in token.devices for token in modes.parse(name).tokens),
        "dtypes": lambda name: DEVICE in names.choose("dtype", name, DTYPES).devices,
    }
)


class Selection(NamedTuple):
    """The cells whose counts are made, and the file that has or gets them."""

    cells: tuple[Cell, ...]
    image_size: int | None
    """Height and width of the images in pixels; None for what each network is made for."""
    input_shape: Shape | None
    """Channels, height and width of the images of networks that do not say what they take."""
    left_out: str
    """A sentence on the settings' modes and dtypes that are not counted; empty if all are."""
    path: Path
    """The baseline."""
    folder: Path
    """The folder in which relative files and modules of networks are looked up."""


def add(commands: Commands) -> None:
    """Add the command ``baseline``."""
    parser = commands.add(
        "baseline",
        _baseline,
        "write exact counts to a file, which gate --static compares with",
        Purpose.JUDGE,
        details="They are the parameters, MACs, bytes and graphs of each cell. Commit the file.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"file to write, relative to the current directory ({DEFAULT_PATH})",
    )
    add_cell_options(parser)


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select cells, as in the suite."""
    parser.epilog = (
        f"Cells are by default those of {pyproject.heading()} in {FILE} (in its table "
        f"{project.GATE}, if that has others), or else those of the profile quick; images have by "
        f"default {IMAGE_SIZE} pixels per side."
    )
    add_to_parser(parser, MeasureRequest, only=(*DEFAULTS, "image_size", "input_shape"))


def add_static_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``gate --static``."""
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help=f"baseline to compare with, relative to the current directory ({DEFAULT_PATH})",
    )
    add_cell_options(parser)


def static(options: argparse.Namespace) -> Output:
    """Run ``gate --static``: compare counts with the baseline."""
    cells, image_size, input_shape, left_out, path, folder = _select(options, options.baseline)
    command = _command(options)
    stored = baseline_file.read(path, command)
    baseline.check_same_counter(stored, path, command)
    ids = [cell.id for cell in cells]
    baseline.check_same_cells(stored, ids, image_size, path, input_shape, command)
    differences: tuple[CountDifference, ...] = ()
    with (
        source_file.looked_up_in(folder),
        count_client.counter(cells, image_size, input_shape) as counter,
    ):
        for current in counter.steps():
            differences = baseline.compare(stored, current)
            if differences:
                break
    text = FORMATS[options.format](DIFFERENCE_COLUMNS, _difference_rows(differences))
    if options.format in PROSE:
        summary = _summary(stored, current, differences, path, left_out, command)
        text = f"{text}\n\n{summary}" if differences else summary
    return Output(text, exit_code=DIFFERS if differences else 0)


def _baseline(options: argparse.Namespace) -> Output:
    cells, image_size, input_shape, left_out, path, folder = _select(options, options.output)
    baseline_file.check_replaceable(path)
    with (
        source_file.looked_up_in(folder),
        count_client.counter(cells, image_size, input_shape) as counter,
    ):
        counts = counter.everything()
    try:
        baseline_file.write(counts, path)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from error
    rows = _count_rows(counts.cells)
    if options.format in PROSE:
        rows["is_lower_bound"] = rows["cell"].isin(baseline.lower_bounds(counts))
    lines = [FORMATS[options.format](COUNT_COLUMNS, rows)]
    if options.format in PROSE and (
        notes := " ".join(filter(None, [*_lower_bounds(counts), left_out]))
    ):
        lines += ["", notes]
    if options.format == "rich":
        lines.append(f"wrote {path}")
    return Output("\n".join(lines))


def _select(options: argparse.Namespace, path: Path | None) -> Selection:
    """Select cells and ``path`` by the options, the project's settings, or the quick profile."""
    given = read_parsed(MeasureRequest, options)
    root = pyproject.root(Path.cwd())
    settings = project.read(root)
    current, table = Path.cwd(), settings.for_gate
    request = project.fill(given, table)
    selected = {name: getattr(request, name) or default for name, default in DEFAULTS.items()}
    left_out: list[str] = []
    for name in (name for name in RUNS_ON_CPU if not getattr(given, name)):
        selected[name], not_run = _split_by_cpu(name, selected[name])
        left_out += not_run
    cells = plan_values.cells(
        arch_names=selected["archs"],
        mode_names=selected["modes"],
        dtype_names=selected["dtypes"],
        batch_sizes=selected["batch_sizes"],
        task_names=selected["tasks"],
        device=DEVICE,
    )
    sentence = (
        f"Not counted, because a CPU does not run them: {', '.join(left_out)}." if left_out else ""
    )
    is_by_default = request.image_size is None and request.input_shape is None
    return Selection(
        cells=cells,
        image_size=IMAGE_SIZE if is_by_default else request.image_size,
        input_shape=request.input_shape,
        left_out=sentence,
        path=path or project.baseline_path(settings, root) or baseline.PATH,
        folder=project.folder_of_files(given, table, root=root, current=current),
    )


def _split_by_cpu(name: str, configured: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the settings' modes or dtypes that a CPU runs, and those that it does not."""
    on_cpu = tuple(filter(RUNS_ON_CPU[name], configured))
    if not on_cpu:
        raise RequestError(
            f"counts are made on a CPU, which runs none of the settings' {name} "
            f"({', '.join(configured)}): select others with --{name}"
        )
    return on_cpu, tuple(value for value in configured if value not in on_cpu)


COUNT_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="params", heading="params", write=COUNT),
    Column(name="params_with_aux", heading="with aux", write=COUNT, rank=IN_FULL),
    Column(
        name="macs_per_image",
        heading="MACs/image",
        write=COUNT,
        rank=IN_FULL,
        at_least="is_lower_bound",
    ),
    Column(name="flops_per_image", heading="FLOPs/image", write=COUNT, at_least="is_lower_bound"),
    Column(name="fvcore_total_per_image", heading="fvcore total", write=COUNT, rank=IN_FULL),
    Column(name="weights_bytes", heading="weights bytes", write=COUNT, rank=IN_FULL),
    Column(name="peak_bytes", heading="peak bytes", write=COUNT),
    Column(name="graphs", heading="graphs", write=COUNT),
    Column(name="graph_breaks", heading="breaks", write=COUNT),
    Column(name="recompiled_graphs", heading="recompiled", write=COUNT),
)
DIFFERENCE_COLUMNS = (
    Column(name="change", heading="change", is_text=True),
    Column(name="sentence", heading="what differs", is_text=True, wraps=True),
)


def _count_rows(cells: Mapping[str, Counts]) -> pd.DataFrame:
    return pd.DataFrame([{"cell": name, **counts} for name, counts in cells.items()])


def _difference_rows(differences: Sequence[CountDifference]) -> pd.DataFrame:
    columns = ["cell", "field", "baseline", "now", "change", "sentence"]
    rows = [[getattr(difference, name) for name in columns] for difference in differences]
    return pd.DataFrame(rows, columns=columns)


def _command(options: argparse.Namespace) -> str:
    """Return the command that writes the baseline that ``gate --static`` compares with."""
    given = {
        name: getattr(options, name)
        for name in (*DEFAULTS, "image_size", "input_shape")
        if getattr(options, name) is not None
    }
    words = [f"{flag(name)}={value}" for name, value in given.items()]
    if options.baseline is not None:
        words.append(f"--output={options.baseline}")
    return shlex.join(["googlenet-bench", "baseline", *words])


def _summary(
    stored: Baseline,
    current: Baseline,
    differences: Sequence[CountDifference],
    path: Path,
    left_out: str,
    command: str,
) -> str:
    """Summarise all differences and say what to do."""
    count = sum(map(len, current.cells.values()))
    missing = sum(len(RULES.keys() - current.cells.get(cell, {}).keys()) for cell in stored.cells)
    worse = sum(difference.change is Change.WORSE for difference in differences)
    sentences = [
        f"Nothing differs from {path}: {counted(count, 'count')} of "
        f"{counted(len(current.cells), 'cell')} are equal."
    ]
    if differences:
        sentences = [
            f"{len(differences)} of {counted(count, 'count')} differ from {path}, {worse} for the "
            "worse.",
            *(
                [f"Counting stopped there; not made: {counted(missing, 'count')}."]
                if missing
                else []
            ),
            f"If the change is intended, write a new baseline and commit it: {command}",
        ]
    changes = baseline.version_changes(stored, current).values()
    sentences += (f"Note that {change}." for change in changes)
    return " ".join(filter(None, [*sentences, *_lower_bounds(current), left_out]))


def _lower_bounds(counts: Baseline) -> Iterator[str]:
    """Yield a sentence for each arch whose MACs are a lower bound."""
    by_arch = {
        arch_of(name): operators for name, operators in baseline.lower_bounds(counts).items()
    }
    for arch, operators in by_arch.items():
        yield f"The MACs of {arch} are a lower bound: {operators}, not counted."
