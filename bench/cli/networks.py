"""Commands about networks, which measure nothing: ``archs``, ``modes``, ``cost``, ``table1``."""

import argparse
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.cells import archs, modes
from bench.cli.command import Commands, Output
from bench.errors import first_line, in_a_line
from bench.names import RequestError
from bench.tables import FORMATS, Column, filled, scaled

COUNT = scaled(1, 0)


def add(commands: Commands) -> None:
    """Add them."""
    commands.add("archs", _archs, "list the registered networks, and what tells them apart")
    commands.add("modes", _modes, "list the words that a mode is made of")

    cost = commands.add("cost", _cost, "count parameters, MACs, FLOPs and activations")
    cost.add_argument(
        "arch",
        nargs="+",
        metavar="ARCH",
        help="a registered name, torchvision:NAME, or package.module:factory",
    )
    cost.add_argument(
        "--image-size", type=int, default=224, metavar="PIXELS", help="height and width (224)"
    )
    cost.add_argument("--batch-size", type=int, default=1, metavar="N", help="images (1)")
    cost.add_argument(
        "--stages", action="store_true", help="one row for each stage, instead of one for each arch"
    )

    table1 = commands.add("table1", _table1, "put a network's counts beside the paper's Table 1")
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
    rows = [
        {
            "token": token.name,
            "kind": token.kind.name.lower(),
            "devices": ", ".join(sorted(token.devices)),
            "what": token.what,
        }
        for token in modes.TOKENS.values()
    ]
    columns = tuple(
        Column(name=name, heading=name, is_text=True, wraps=name == "what")
        for name in ("token", "kind", "devices", "what")
    )
    return Output(FORMATS[options.format](columns, pd.DataFrame(rows)))


COST_COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="stage", heading="stage", is_text=True),
    Column(name="params", heading="params", write=COUNT),
    Column(name="params_with_aux", heading="params with aux", write=COUNT, rank=3),
    Column(name="macs", heading="MACs", write=COUNT),
    Column(name="flops", heading="FLOPs", write=COUNT, rank=2),
    Column(name="fvcore_total", heading="fvcore total", write=COUNT, rank=4),
    Column(name="activations", heading="activations", write=COUNT, rank=5),
)


def _cost(options: argparse.Namespace) -> Output:
    if options.batch_size < 1 or options.image_size < 1:
        raise RequestError("--batch-size and --image-size must be at least 1")
    found = [archs.find(name) for name in options.arch]
    rows: list[dict[str, Any]] = []
    for arch in found:
        counted = _count(arch, options.image_size, options.batch_size)
        at = {"image_size": counted.image_size, "batch_size": counted.batch_size}
        whole = {"params_with_aux": counted.params_with_aux}
        parts: Sequence[Any] = counted.stages if options.stages else (counted,)
        rows += [
            {
                "arch": arch.name,
                **({"stage": part.name} if options.stages else {}),
                **at,
                "params": part.params,
                **({} if options.stages else whole),
                "macs": part.macs,
                "flops": part.flops,
                "fvcore_total": part.fvcore_total,
                "activations": part.activations,
            }
            for part in parts
        ]
    table = pd.DataFrame(rows)
    return Output(FORMATS[options.format](filled(COST_COLUMNS, table), table))


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

    counted = _count(archs.find(options.arch), 224, 1)
    try:
        compared = table1.compare(
            weights={stage.name: stage.weights for stage in counted.stages},
            macs={stage.name: stage.macs for stage in counted.stages},
        )
    except ValueError as error:
        raise RequestError(f"{options.arch}: {error}") from error
    rows = [
        {
            "row": found.row.name,
            "weights": found.weights,
            "paper_params": found.row.params,
            "params_agree": found.params_agree,
            "macs": found.macs,
            "paper_ops": found.row.ops,
            "ops_agree": found.ops_agree,
            "reason": found.reason,
        }
        for found in compared
    ]
    return Output(FORMATS[options.format](TABLE1_COLUMNS, pd.DataFrame(rows)))


def _count(arch: archs.Arch, image_size: int, batch_size: int) -> Any:
    from bench.worker import cost

    try:
        return cost.count(arch, image_size=image_size, batch_size=batch_size)
    except (RequestError, ModuleNotFoundError):
        raise
    except Exception as error:  # a network may fail in any way
        is_sentence = isinstance(error, ValueError | RuntimeError)
        said = (is_sentence and first_line(str(error))) or in_a_line(error)
        raise RequestError(f"{arch.name} at {image_size}×{image_size}: {said}") from error
