"""Traceback frames in user code: the network or factory that raised an exception."""

import importlib
import os
import traceback
from pathlib import Path

import torch

import bench

MAX_FRAMES = 3  # with their source lines they fit into the part of stderr that is stored
_NOT_USER_CODE = tuple(
    f"{Path(str(module.__file__)).parent}{os.sep}" for module in (bench, torch, importlib)
)


def user_frames(error: BaseException) -> str:
    """Return the last frames outside PyTorch and this package, formatted like a traceback.

    For an exception with a cause, such as a ``RequestError``, they are the frames of the cause. The
    result is empty if there are no such frames.
    """
    raised = error.__cause__ or error
    frames = [
        frame
        for frame in traceback.extract_tb(raised.__traceback__)
        if not frame.filename.startswith((*_NOT_USER_CODE, "<"))
    ]
    return "".join(traceback.format_list(frames[-MAX_FRAMES:]))
