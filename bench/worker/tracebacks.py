"""Frames: where in somebody's network or factory an exception was raised."""

import importlib
import os
import traceback
from pathlib import Path

import torch

import bench

MOST = 3  # frames of a network's own: with their lines they fit into what is kept of stderr
_NOT_THEIRS = tuple(
    f"{Path(str(module.__file__)).parent}{os.sep}" for module in (bench, torch, importlib)
)


def of_user_code(error: BaseException) -> str:
    """The last frames outside of PyTorch and of ours, as a traceback shows them; empty for none.

    Of a wrong request those of what it tells of.
    """
    raised = error.__cause__ or error
    found = [
        frame
        for frame in traceback.extract_tb(raised.__traceback__)
        if not frame.filename.startswith((*_NOT_THEIRS, "<"))
    ]
    return "".join(traceback.format_list(found[-MOST:]))
