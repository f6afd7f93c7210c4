"""The program that runs a network in a mode, as a user writes it: lines of Python."""

from collections.abc import Iterator

from bench import archs
from bench.archs.source import RGB, Arch, Shape
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES, Dtype
from bench.records.reported import Setup

FP32 = DTYPES["fp32"]


def lacking(cell: Cell) -> tuple[str, ...]:
    """Return the tokens of a cell's mode that do not say how they are written."""
    return tuple(token.name for token in modes.parse(cell.mode).tokens if not token.code)


def lines(
    cell: Cell, setup: Setup, *, input_shape: Shape | None = None, threads: int | None = None
) -> str:
    """Return a complete program for a cell whose tokens all have code (``lacking``).

    ``setup``: what its worker reported, such as the size of its images. ``input_shape``: that of
    the plan. ``threads``: CPU threads to set; None for PyTorch's own choice.
    """
    arch, mode, dtype = archs.find(cell.arch), modes.parse(cell.mode), DTYPES[cell.dtype]
    parts = [
        "import torch\n",
        "" if threads is None else f"torch.set_num_threads({threads})\n",
        f"# The network, with random weights: load yours here.\n{_building(arch)}model.eval()\n",
        _example(arch, setup, cell.batch_size, input_shape),
        *_on_device(cell.device),
        *(f"# {each.name}\n{each.code}" for each in mode.rewrites if not each.after_cast),
        *precision(dtype, cell.device),
        *_in_dtype(dtype, converts=mode.executor.converts),
        *(f"# {each.name}\n{each.code}" for each in mode.rewrites if each.after_cast),
        *(f"# {option.name}\n{option.code}" for option in mode.options),
        f"# {mode.executor.name}\n{mode.executor.code}",
        "with torch.inference_mode():\n    output = run(*example)\n",
    ]
    return "\n".join(filter(None, parts))


def _building(arch: Arch) -> str:
    if arch.lines is not None:
        return arch.lines()
    return f"from bench import archs\n\nmodel = archs.find({arch.name!r}).build(False)\n"


def _example(arch: Arch, setup: Setup, batch_size: int, input_shape: Shape | None) -> str:
    """Return the lines that make a batch: random images, or what the network says."""
    shape = arch.requested_shape
    if shape is None and setup.image_size is not None:
        shape = (RGB, setup.image_size, setup.image_size)
    if shape is None and input_shape and setup.input_shapes == ("×".join(map(str, input_shape)),):
        shape = input_shape
    if shape is not None:
        return f"example = (torch.randn({', '.join(map(str, (batch_size, *shape)))}),)\n"
    return (
        "# Inputs as they were measured, by position.\n"
        "from bench import archs\n"
        "from bench.cells.inputs import Drawing\n"
        "\n"
        f"draw = Drawing(archs.find({arch.name!r}))\n"
        "model = draw.positional(model)\n"
        f"example = draw({batch_size})\n"
    )


def _on_device(device: str) -> Iterator[str]:
    if device != "cpu":
        yield (
            f"model = model.to({device!r})\n"
            f"example = tuple(each.to({device!r}) for each in example)\n"
        )


def precision(dtype: Dtype, device: str) -> Iterator[str]:
    """Yield the lines that set TF32 on a CUDA device."""
    if device != "cpu":
        products = "high" if dtype.tf32 else "highest"
        yield (
            f"# {dtype.name}: TF32 is {'on' if dtype.tf32 else 'off'}\n"
            f"torch.backends.cudnn.allow_tf32 = {dtype.tf32}\n"
            f'torch.set_float32_matmul_precision("{products}")\n'
        )


def _in_dtype(dtype: Dtype, *, converts: bool) -> Iterator[str]:
    """Yield the lines that convert the network and its inputs.

    ``converts``: whether the executor converts them itself; ``dtype`` then names the format.
    """
    name = f"torch.{dtype.torch_name}"
    if converts:
        yield f"dtype = {name}\n"
    elif dtype.torch_name != FP32.torch_name:
        yield (
            f"# {dtype.name}\n"
            f"model = model.to({name})\n"
            "example = tuple(\n"
            f"    each.to({name}) if each.is_floating_point() else each for each in example\n"
            ")\n"
        )
