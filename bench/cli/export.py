"""The command ``export``: it writes a network in a mode to a file, and checks the file."""

import argparse
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench import paths, signals
from bench.api import project
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, read_parsed
from bench.archs import HOW_TO_NAME, source_file
from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.cli import project_archs
from bench.cli.command import Commands, Output, Purpose, show_examples
from bench.columns import Column, scaled
from bench.errors import RequestError
from bench.exits import Exit
from bench.folders import check_writable
from bench.standard_output import stdout_to_stderr
from bench.tables import FORMATS, PROSE, escaped, terminal_console
from bench.units import MIB

if TYPE_CHECKING:
    from bench.export.export import Exported

SHARED = (*project_archs.SHARED, "device")
EXAMPLES = """\
examples:
  an ONNX model of a network with your weights:
    googlenet-bench export torchvision:resnet18 --mode onnxruntime \\
      --weights trained.pt -o resnet18.onnx
  a program of torch.export, that is compiled at load:
    googlenet-bench export my_module:my_net --mode compile+channels_last -o net.pt2
  an OpenVINO model, which needs no PyTorch, for batches of 16:
    googlenet-bench export my_module:my_net --mode openvino --batch-size 16 -o net.xml

exit codes: 0 the file is written, and its answer is right; 1 its answer was wrong, and it is not
kept; 2 the request is wrong, or the export was interrupted
"""
COLUMNS = (
    Column(name="files", heading="files", is_text=True),
    Column(name="arch", heading="network", is_text=True, rank=1),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="batch_size", heading="batch"),
    Column(name="bytes", heading="MiB", write=scaled(1 / MIB, 2)),
    Column(name="output_error", heading="output error", write="{:.1e}".format),
    Column(name="error_bound", heading="allowed", write="{:.1e}".format),
)
RANDOM = (
    "The weights are random, which is enough to try a file out: --weights FILE gives those that "
    "you trained."
)
FIXED = "The file takes inputs of this batch size and shape only."


def add(commands: Commands) -> None:
    """Add the command."""
    export = commands.add(
        "export",
        _export,
        "write a network in a mode to a file that runs without this package",
        Purpose.USE,
        details="The executor decides the format: a program of torch.export (.pt2; eager, compile, "
        "freeze), an AOTInductor package (.pt2; aot), ONNX (.onnx; onnxruntime) or OpenVINO (.xml; "
        "openvino). A fresh process loads the file, and its answer is compared with that of fp32 "
        "eager.",
    )
    show_examples(export, EXAMPLES)
    export.add_argument("arch", metavar="ARCH", help=f"the network: {HOW_TO_NAME}")
    export.add_argument(
        "--mode", default="eager", metavar="MODE", help="tokens joined by + (eager)"
    )
    export.add_argument("-o", "--output", metavar="FILE", required=True, help="file to write")
    export.add_argument("--dtype", default="fp32", metavar="NAME", help="(fp32)")
    export.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    export.add_argument(
        "--weights",
        metavar="FILE",
        help="state dict of the network, written with torch.save, also under the key state_dict or "
        "model (default: random weights)",
    )
    export.add_argument("--force", action="store_true", help="replace existing files")
    add_to_parser(export, MeasureRequest, only=SHARED)


def _export(options: argparse.Namespace) -> Output:
    if not options.output:
        raise RequestError("--output is empty: name a file")
    output = paths.usable(options.output)
    weights = None if options.weights is None else paths.usable(options.weights)
    given = replace(read_parsed(MeasureRequest, options), archs=(options.arch,))
    completed = project.complete(given, Path.cwd(), only=("archs", *project_archs.SHARED))
    with source_file.looked_up_in(completed.folder):
        cell = _cell(options, completed.request)
        # Imported here because other commands must run without these modules' dependencies.
        from bench.export import export

        form = export.file_format(cell.mode)
        export.check_path(output, form, cell.mode, replaces=options.force)
        check_writable(output.parent)
        with signals.single_interrupt(), stdout_to_stderr():  # exporters print
            try:
                exported = export.export(
                    cell,
                    output,
                    weights=weights,
                    image_size=completed.request.image_size,
                    input_shape=completed.request.input_shape,
                    replaces=options.force,
                )
            except KeyboardInterrupt:
                raise RequestError("interrupted: nothing is written") from None
            except OSError as error:
                raise RequestError(f"cannot write {output}: {error.strerror}") from error
            except export.CheckError as error:
                return Output("", Exit.FAILED, (f"{cell.arch} in the mode {cell.mode}: {error}",))
    notes = (FIXED,) if options.weights is not None else (RANDOM, FIXED)
    return Output(_text(cell, exported, notes, options.format))


def _cell(options: argparse.Namespace, request: MeasureRequest) -> Cell:
    """Return the cell; raise ``RequestError`` if it is invalid, or if a library is missing."""
    found = plan_values.cells(
        arch_names=(options.arch,),
        mode_names=(options.mode,),
        dtype_names=(options.dtype,),
        batch_sizes=(options.batch_size,),
        task_names=("infer",),
        device=plan_values.device(request.device),
    )
    if len(found) > 1:
        names = ", ".join(cell.arch for cell in found)
        raise RequestError(f"{options.arch!r} stands for {len(found)} networks ({names}): name one")
    if missing := plan_values.missing(found[0]):
        raise RequestError(missing)
    return found[0]


def _text(cell: Cell, exported: "Exported", notes: tuple[str, ...], form: str) -> str:
    """Return the table, and for people also the notes and the program."""
    from bench.report.formats.markdown import fenced

    row: dict[str, Any] = {
        "files": ", ".join(map(str, exported.paths)),
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "bytes": exported.size_bytes,
        "output_error": exported.error,
        "error_bound": exported.error_bound,
    }
    table = FORMATS[form](COLUMNS, pd.DataFrame([row]))
    if form not in PROSE:
        return table
    if form == "markdown":
        return "\n\n".join([table, *map(escaped, notes), fenced(exported.program, "python")])
    width = terminal_console().width
    filled = (textwrap.fill(note, width=width) for note in notes)
    return "\n\n".join([table, *filled, exported.program.rstrip()])
