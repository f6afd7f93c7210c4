"""Commands that describe networks without timing: ``archs``, ``modes``, ``cost``, ``table1``."""

import argparse
import re
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench import archs
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser
from bench.archs import source_file
from bench.archs.source import IMAGE_SIZE, Arch
from bench.cells import modes
from bench.cli import project_archs
from bench.cli.command import Commands, Output, Purpose
from bench.columns import Column, filled, scaled
from bench.error_text import first_line, one_line
from bench.errors import RequestError
from bench.exits import Exit
from bench.names import choose
from bench.records.counted import not_counted, notes_on
from bench.registry import check_plugins
from bench.standard_output import stdout_to_stderr
from bench.tables import FORMATS, PROSE, escaped, terminal_console

if TYPE_CHECKING:
    from bench.worker.cost import Cost, StageCost

COUNT = scaled(1, 0)
REMARK_WIDTH = 60  # characters


def add(commands: Commands) -> None:
    """Add the commands."""
    commands.add(
        "archs", _archs, "list the registered networks and how they differ", Purpose.PREPARE
    )
    commands.add("modes", _modes, "list the tokens of which modes consist", Purpose.PREPARE)

    cost = commands.add(
        "cost", _cost, "count parameters, MACs, FLOPs and activations", Purpose.COUNT
    )
    project_archs.add(cost)
    cost.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    cost.add_argument(
        "--stages", action="store_true", help="print one row per stage, instead of one per arch"
    )

    add_to_parser(cost, MeasureRequest, only=project_archs.SHARED)

    table1 = commands.add(
        "table1", _table1, "compare a network's counts with the paper's Table 1", Purpose.COUNT
    )
    table1.add_argument("arch", nargs="?", default="googlenet", metavar="ARCH", help="(googlenet)")


def _archs(options: argparse.Namespace) -> Output:
    rows = [
        {"arch": arch.name, "what": arch.what, "source": arch.source} for arch in archs.registered()
    ]
    columns = tuple(
        Column(name=name, heading=name, is_text=True, wraps=name != "arch")
        for name in ("arch", "what", "source")
    )
    return Output(FORMATS[options.format](columns, pd.DataFrame(rows)))


def _modes(options: argparse.Namespace) -> Output:
    check_plugins()
    rows = [
        {
            "token": token.name,
            "kind": modes.kind(token),
            "devices": ", ".join(sorted(token.devices)),
            "what": token.what,
            **({"missing": token.missing} if token.missing else {}),
        }
        for token in modes.tokens().values()
    ]
    frame = pd.DataFrame(rows).fillna("")
    columns = tuple(
        Column(name=str(name), heading=str(name), is_text=True, wraps=name in {"what", "missing"})
        for name in frame.columns
    )
    return Output(FORMATS[options.format](columns, frame))


def _shortened(text: str) -> str:
    """Return a remark shortened for tables; CSV and JSON have the complete text."""
    return textwrap.shorten(text, REMARK_WIDTH, placeholder=" …")


COST_COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="stage", heading="stage", is_text=True),
    Column(name="params", heading="params", write=COUNT),
    Column(name="params_with_aux", heading="params with aux", write=COUNT, rank=3),
    Column(name="macs", heading="MACs", write=COUNT, at_least="macs_is_lower_bound"),
    Column(name="flops", heading="FLOPs", write=COUNT, rank=2, at_least="macs_is_lower_bound"),
    Column(name="uncounted", heading="not counted", is_text=True, wraps=True),
    Column(name="macs_on_other_images", heading="MACs on other images", write=COUNT, rank=1),
    Column(name="macs_in_the_next_call", heading="MACs in a later call", write=COUNT, rank=1),
    Column(name="fvcore_total", heading="fvcore total", write=COUNT, rank=4),
    Column(
        name="fvcore_remark",
        heading="on fvcore's total",
        is_text=True,
        wraps=True,
        write=_shortened,
        rank=6,
    ),
    Column(name="activations", heading="activations", write=COUNT, rank=5),
)


def _cost(options: argparse.Namespace) -> Output:
    if options.batch_size < 1:
        raise RequestError(f"--batch-size must be at least 1, not {options.batch_size}")
    completed = project_archs.read(options)
    request = completed.request
    counted, errors = [], []
    with source_file.looked_up_in(completed.folder):
        for arch in map(archs.find, archs.expand(request.archs or ())):
            try:
                counted.append(_count(arch, request, options.batch_size))
            except RequestError as error:  # the other archs are still counted
                errors.append(str(error))
    if not counted:
        raise RequestError("; ".join(errors))
    rows = [
        row for cost in counted for row in (_stage_rows if options.stages else _network_rows)(cost)
    ]
    table = pd.DataFrame(rows, dtype=object)  # keeps integers as integers beside missing values
    text = FORMATS[options.format](filled(COST_COLUMNS, table), table)
    notes = [f"{cost.arch}: {note}" for cost in counted for note in notes_on(cost.per_image())]
    if notes and options.format in PROSE:
        prose = partial(textwrap.fill, width=terminal_console().width)
        text = "\n\n".join([text, *map(escaped if options.format == "markdown" else prose, notes)])
    return Output(text, Exit.WRONG_REQUEST if errors else Exit.FINE, tuple(errors))


def _network_rows(cost: "Cost") -> list[dict[str, Any]]:
    """Return the single row of a network."""
    return [
        {
            **_row(cost, cost),
            "params_with_aux": cost.params_with_aux,
            "macs_on_other_images": cost.macs_on_other_images,
            "macs_in_the_next_call": cost.macs_in_the_next_call,
            "fvcore_remark": cost.fvcore.remark or None,
            "fvcore_disagreements": "; ".join(cost.disagreements) or None,
        }
    ]


def _stage_rows(cost: "Cost") -> list[dict[str, Any]]:
    """Return one row for each stage of a network."""
    return [_row(cost, stage, stage=stage.name) for stage in cost.stages]


def _row(cost: "Cost", part: "Cost | StageCost", **extra: str) -> dict[str, Any]:
    return {
        "arch": cost.arch,
        **extra,
        "image_size": cost.image_size,
        "batch_size": cost.batch_size,
        "params": part.params,
        "macs": part.macs,
        "macs_is_lower_bound": bool(part.uncounted),
        "flops": part.flops,
        "uncounted": not_counted(part.uncounted) or None,
        "fvcore_total": part.fvcore_total,
        "activations": part.activations,
    }


TABLE1_COLUMNS = (
    Column(name="row", heading="row", is_text=True),
    Column(name="weights", heading="weights", write=COUNT),
    Column(name="paper_params", heading="paper's params", is_text=True),
    Column(name="params_agree", heading="agree", write=lambda agree: "yes" if agree else "NO"),
    Column(name="macs", heading="MACs", write=COUNT),
    Column(name="paper_ops", heading="paper's ops", is_text=True),
    Column(name="ops_agree", heading="agree", write=lambda agree: "yes" if agree else "NO"),
    Column(name="reason", heading="why not", is_text=True, wraps=True),
)


def _table1(options: argparse.Namespace) -> Output:
    from googlenet import table1

    if ":" not in options.arch:  # a name without a source; others may have the stages too
        plain = re.split("[?@]", options.arch)[0]
        choose("registered arch", plain, {each.name: each for each in archs.registered()})
    arch = archs.find(options.arch)
    if arch.requested_shape:
        raise RequestError(f"Table 1 is for images of {IMAGE_SIZE} pixels, not {options.arch}")
    counted = _count(arch, MeasureRequest(image_size=IMAGE_SIZE), 1)
    try:
        compared = table1.compare(
            weights={stage.name: stage.weights for stage in counted.stages},
            macs={stage.name: stage.macs for stage in counted.stages},
        )
    except ValueError as error:
        raise RequestError(f"{options.arch}: {error}") from error
    rows = [
        {
            "row": comparison.row.name,
            "weights": comparison.weights,
            "paper_params": comparison.row.params,
            "params_agree": comparison.params_agree,
            "macs": comparison.macs,
            "paper_ops": comparison.row.ops,
            "ops_agree": comparison.ops_agree,
            "reason": comparison.reason,
        }
        for comparison in compared
    ]
    return Output(FORMATS[options.format](TABLE1_COLUMNS, pd.DataFrame(rows)))


def _count(arch: Arch, request: MeasureRequest, batch_size: int) -> "Cost":
    from bench.cells.inputs import Drawing
    from bench.worker import cost, failure

    at = ""
    size, shape = request.image_size, request.input_shape
    try:
        with stdout_to_stderr():  # a network may print, which would make the JSON invalid
            if drawn := Drawing(arch, size, shape).shape:
                at = f" at {'×'.join(map(str, drawn[1:]))}"
            return cost.count(arch, image_size=size, input_shape=shape, batch_size=batch_size)
    except (RequestError, ModuleNotFoundError):
        raise
    except Exception as error:  # a network may fail in any way
        is_sentence = isinstance(error, ValueError | RuntimeError)
        reason = (is_sentence and first_line(str(error))) or one_line(error)
        raise RequestError(f"{arch.name}{at}: {reason}{failure.hint(error)}") from error
