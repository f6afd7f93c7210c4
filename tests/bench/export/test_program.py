import numpy as np
import pytest
import torch
from torch import Tensor

from bench.export import program

LAST = torch.channels_last


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 3, 4, 5),
        torch.zeros(2, 3, 4, 5, dtype=torch.bfloat16).contiguous(memory_format=LAST),
        torch.zeros(2, 1, 4, 4),
        torch.zeros(2, 7, dtype=torch.int64),
        torch.zeros(2, dtype=torch.bool),
    ],
)
def test_an_example_has_the_shape_dtype_and_memory_format(tensor: Tensor) -> None:
    made = eval(program._tensor(tensor), {"torch": torch})  # noqa: S307 - our own text
    assert (made.shape, made.dtype, made.stride()) == (tensor.shape, tensor.dtype, tensor.stride())
    if tensor.dtype is not torch.bfloat16:
        array = eval(program._array(tensor), {"np": np})  # noqa: S307 - our own text
        assert (array.shape, array.dtype) == (tuple(tensor.shape), tensor.numpy().dtype)
