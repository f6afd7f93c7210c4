"""What does not wobble: ``baseline`` writes it, ``gate --static`` compares with what was written.

Exit codes of the latter: 0 where nothing differs from the baseline, 1 where anything does, be it
for the better, 2 for a baseline or a request that nothing can be compared with.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from bench import names
from bench.cells import modes, plan
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cli.command import Commands, Output
from bench.gate import baseline, count_client, git, settings
from bench.gate.baseline import RULES, Baseline, Change, CountDifference, Counts
from bench.names import RequestError
from bench.suite.profiles import PROFILES
from bench.tables import FORMATS, IN_FULL, PROSE, Column, scaled

DIFFERS = 1
DEVICE = "cpu"  # counts are taken on it, whatever the machine has
COUNT = scaled(1, 0)
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
RUNS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "modes": lambda name: all(DEVICE in token.devices for token in modes.parse(name)),
        "dtypes": lambda name: DEVICE in names.choose("dtype", name, DTYPES).devices,
    }
)


class Choice(NamedTuple):
    """What is counted."""

    cells: tuple[Cell, ...]
    left_out: str
    """A sentence on what the settings have and no count is taken of; empty where that is nothing.
    """


def add(commands: Commands) -> None:
    """Add them."""
    written = commands.add(
        "baseline", _baseline, "count what does not wobble, and write the file that is committed"
    )
    written.add_argument(
        "--output",
        type=Path,
        default=baseline.PATH,
        metavar="FILE",
        help=f"where to write it, from the current directory ({baseline.PATH})",
    )
    add_cell_options(written)


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which cells, as the suite has them."""
    for name, text in (
        ("archs", "registered names, torchvision:NAME, module:factory"),
        ("modes", "tokens joined by +"),
        ("dtypes", "fp32 and bf16"),
        ("batch_sizes", "images a batch"),
        ("tasks", "infer, train"),
    ):
        numbers = isinstance(DEFAULTS[name][0], int)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=listed_numbers if numbers else listed,
            metavar="A,B,…",
            help=f"{text}; separated by commas (what [{'.'.join(settings.TABLE)}] in "
            f"{settings.FILE} says, or {','.join(map(str, DEFAULTS[name]))})",
        )
    parser.add_argument(
        "--image-size",
        type=int,
        default=plan.IMAGE_SIZE,
        metavar="PIXELS",
        help=f"height and width ({plan.IMAGE_SIZE})",
    )


def listed(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    try:
        return names.listed(text, "the list")
    except RequestError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def listed_numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a list with commas."""
    try:
        return tuple(map(int, listed(text)))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers") from None


def add_static_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``gate --static``."""
    parser.add_argument(
        "--baseline",
        type=Path,
        default=baseline.PATH,
        metavar="FILE",
        help=f"what to compare with, from the current directory ({baseline.PATH})",
    )
    add_cell_options(parser)


def static(options: argparse.Namespace) -> Output:
    """``gate --static``: compare counts with the baseline."""
    cells, left_out = _choice(options)
    then = baseline.read(options.baseline)
    baseline.check_same_counter(then, options.baseline)
    ids = [cell.id for cell in cells]
    baseline.check_same_cells(then, ids, options.image_size, options.baseline)
    differences: tuple[CountDifference, ...] = ()
    with count_client.counter(cells, options.image_size) as counter:
        for now in counter.steps():
            differences = baseline.compare(then, now)
            if differences:
                break
    text = FORMATS[options.format](DIFFERENCE_COLUMNS, _difference_rows(differences))
    if options.format in PROSE:
        summary = _summary(then, now, differences, options.baseline, left_out)
        text = f"{text}\n\n{summary}" if differences else summary
    return Output(text, exit_code=DIFFERS if differences else 0)


def _baseline(options: argparse.Namespace) -> Output:
    cells, left_out = _choice(options)
    baseline.check_replaceable(options.output)
    with count_client.counter(cells, options.image_size) as counter:
        counted = counter.everything()
    try:
        baseline.write(counted, options.output)
    except OSError as error:
        raise RequestError(f"cannot write {options.output}: {error.strerror}") from error
    rows = _count_rows(counted.cells)
    if options.format in PROSE:
        rows["is_lower_bound"] = rows["cell"].isin(baseline.lower_bounds(counted))
    lines = [FORMATS[options.format](COUNT_COLUMNS, rows)]
    if options.format in PROSE and (
        told := " ".join(filter(None, [*_lower_bounds(counted), left_out]))
    ):
        lines += ["", told]
    if options.format == "rich":
        lines.append(f"wrote {options.output}")
    return Output("\n".join(lines))


def _choice(options: argparse.Namespace) -> Choice:
    """What the options ask for, else the settings of the project here, else the quick profile."""
    if options.image_size < 1:
        raise RequestError(f"--image-size must be at least 1, not {options.image_size}")
    said = settings.read(_root())
    asked = {
        name: getattr(options, name) or getattr(said, name) or default
        for name, default in DEFAULTS.items()
    }
    left_out: list[str] = []
    for name in (name for name in RUNS if not getattr(options, name)):
        asked[name], others = _divided(name, asked[name])
        left_out += others
    cells = plan.cells(
        arch_names=asked["archs"],
        mode_names=asked["modes"],
        dtype_names=asked["dtypes"],
        batch_sizes=asked["batch_sizes"],
        task_names=asked["tasks"],
        device=DEVICE,
    )
    told = f"Left out, as counts are taken on a CPU: {', '.join(left_out)}." if left_out else ""
    return Choice(cells=cells, left_out=told)


def _divided(name: str, of_settings: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The settings' modes or dtypes that a CPU runs, and the others."""
    here = tuple(filter(RUNS[name], of_settings))
    if not here:
        raise RequestError(
            f"counts are taken on a CPU, which runs none of the settings' {name} "
            f"({', '.join(of_settings)}): choose others with --{name}"
        )
    return here, tuple(other for other in of_settings if other not in here)


def _root() -> Path:
    """Where the settings are: as for the gate, the checkout's folder, or this one without git."""
    folder = Path.cwd()
    try:
        return git.top(folder)
    except RequestError:
        return folder


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


def _summary(
    then: Baseline,
    now: Baseline,
    differences: Sequence[CountDifference],
    path: Path,
    left_out: str,
) -> str:
    """What all differences come to, and what to do."""
    made = sum(map(len, now.cells.values()))
    left = sum(len(RULES.keys() - now.cells.get(cell, {}).keys()) for cell in then.cells)
    worse = sum(difference.change is Change.WORSE for difference in differences)
    sentences = [f"Nothing differs from {path}: {made} counts of {len(now.cells)} cells."]
    if differences:
        sentences = [
            f"{len(differences)} of {made} counts differ from {path}, {worse} for the worse.",
            *([f"Counting stopped there, with {left} to go."] if left else []),
            "Where that is meant, write it anew and commit it: googlenet-bench baseline, with the "
            "same options.",
        ]
    changes = baseline.version_changes(then, now).values()
    sentences += (f"Mind that {change}." for change in changes)
    return " ".join(filter(None, [*sentences, *_lower_bounds(now), left_out]))


def _lower_bounds(counted: Baseline) -> Iterator[str]:
    """A sentence for each arch whose MACs are a lower bound."""
    by_arch = {
        name.partition("/")[0]: operators
        for name, operators in baseline.lower_bounds(counted).items()
    }
    for arch, operators in by_arch.items():
        yield f"The MACs of {arch} are a lower bound: {operators}, not counted."
