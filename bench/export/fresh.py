"""A fresh process that loads an exported file and runs it, without this package."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.archs.source import Inputs
from bench.error_text import first_line
from bench.executors.file_format import FileFormat

# The file must not need this package: importing it fails.
_WITHOUT = "import sys\n\nsys.modules.update(bench=None, googlenet=None)\n"
_TENSORS = """\
import torch

path = {path!r}
example = tuple(torch.load({inputs!r}))

{lines}
from torch.utils._pytree import tree_leaves

torch.save([each for each in tree_leaves(output) if isinstance(each, torch.Tensor)], {outputs!r})
"""
_ARRAYS = """\
import numpy as np

path = {path!r}
example = tuple(np.load({inputs!r}).values())

{lines}
np.savez({outputs!r}, *output)
"""


class FreshError(Exception):
    """The file could not be loaded or run in a fresh process."""


def answer(path: Path, form: FileFormat, lines: str, example: Inputs, folder: Path) -> list[Tensor]:
    """Return the tensors of a file's answer to inputs, in the order of the network's output.

    ``lines`` load and run the file (bench/export/program.py). Files are exchanged in ``folder``.
    Raises ``FreshError`` if the process fails.
    """
    suffix = "npz" if form.takes_arrays else "pt"
    inputs, outputs = folder / f"inputs.{suffix}", folder / f"outputs.{suffix}"
    if form.takes_arrays:
        np.savez(inputs, *(tensor.contiguous().numpy() for tensor in example))
    else:
        torch.save(list(example), inputs)
    template = _ARRAYS if form.takes_arrays else _TENSORS
    text = template.format(path=str(path), inputs=str(inputs), outputs=str(outputs), lines=lines)
    script = folder / "program.py"
    script.write_text(f"{_WITHOUT}\n{text}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = first_line("\n".join(reversed(done.stderr.strip().splitlines())))
        raise FreshError(last or f"exit code {done.returncode}")
    if form.takes_arrays:
        return [torch.from_numpy(array) for array in np.load(outputs).values()]
    return [tensor.cpu() for tensor in torch.load(outputs, map_location="cpu")]
