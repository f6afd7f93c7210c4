"""What Torch-TensorRT is asked, with a stand-in for the library: it needs a GPU even to import."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch._dynamo  # before the stand-ins: at its import it looks for a real tensorrt
from torch import nn

from bench.cells.dtypes import DTYPES
from bench.errors import RequestError
from bench.executors import EXECUTORS
from bench.executors.executor import Program
from bench.executors.request import ExecutorRequest
from bench.executors.tensorrt import TensorRtProgram
from tests.bench import tiny
from tests.bench.executors.test_exported import Branching

TENSORRT = EXECUTORS["tensorrt"]
INSTALLED = importlib.util.find_spec("torch_tensorrt") is not None


class TorchTensorRTModule(nn.Module):
    """An engine: the network that it was built from."""

    def __init__(self, network: nn.Module, disable_tf32: bool) -> None:
        super().__init__()
        self.network = network
        self.settings = SimpleNamespace(disable_tf32=disable_tf32)

    def forward(self, *example: Any) -> Any:
        return self.network(*example)


class Library(ModuleType):
    """A stand-in for ``torch_tensorrt`` that keeps what it was asked."""

    __version__ = "2.14.0"

    def __init__(self) -> None:
        super().__init__("torch_tensorrt")
        self.arguments: dict[str, Any] = {}

    def compile(self, program: Any, **arguments: Any) -> nn.Module:
        self.arguments = arguments
        engine = TorchTensorRTModule(program.module(), arguments["disable_tf32"])
        return nn.Sequential(engine)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "torch_tensorrt", stand_in)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="11.1.0"))
    return stand_in


def prepared(module: nn.Module, dtype: str = "fp32") -> Program:
    example = (torch.ones(2, 3, 8, 8, dtype=DTYPES[dtype].torch_dtype),)
    return TENSORRT.prepare(
        module.to(example[0].dtype),
        ExecutorRequest(
            example=example, dtype=example[0].dtype, device=torch.device("cpu"), threads=1
        ),
    )


@pytest.mark.parametrize("dtype", ["fp32", "tf32", "bf16"])
def test_engines_follow_the_dtype(
    library: Library, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", DTYPES[dtype].tf32)
    model = tiny.net().eval()
    program = prepared(model, dtype)
    (example,) = library.arguments.pop("arg_inputs")
    assert example.dtype == DTYPES[dtype].torch_dtype
    assert library.arguments == {
        "ir": "dynamo",
        "device": torch.device("cpu"),
        "disable_tf32": dtype != "tf32",
        "min_block_size": 1,
    }
    assert program.settings() == {
        "torch_tensorrt": "2.14.0",
        "tensorrt": "11.1.0",
        "engines": "1",
        "tf32": "on" if dtype == "tf32" else "off",
    }
    with torch.no_grad():
        assert torch.equal(program.run((example,)), model(example))


def test_a_network_without_an_engine_is_refused() -> None:
    with pytest.raises(RequestError, match="TensorRT supports none of its operators"):
        TensorRtProgram(tiny.net())


@pytest.mark.usefixtures("library")
def test_a_failed_export_is_a_sentence() -> None:
    with pytest.raises(RequestError, match=r"tensorrt needs torch\.export, which cannot"):
        prepared(Branching())


def test_a_failed_build_is_a_sentence(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> nn.Module:
        raise RuntimeError("out of workspace\nsecond line")

    monkeypatch.setattr(library, "compile", fail)
    with pytest.raises(RequestError) as raised:
        prepared(tiny.net().eval())
    assert str(raised.value) == (
        "tensorrt cannot run this network, because Torch-TensorRT fails with RuntimeError: out of "
        "workspace; choose compile or eager"
    )


@pytest.mark.skipif(INSTALLED, reason="torch_tensorrt is installed")
def test_a_missing_library_is_named_with_its_extra() -> None:
    assert TENSORRT.missing == (
        "tensorrt needs torch_tensorrt, which is not installed: "
        'pip install "googlenet-bench[tensorrt]"'
    )


def test_it_runs_every_dtype_of_a_gpu() -> None:
    on_a_gpu = frozenset(name for name, dtype in DTYPES.items() if "cuda" in dtype.devices)
    assert TENSORRT.dtypes == on_a_gpu


@pytest.mark.gpu
@pytest.mark.skipif(not INSTALLED, reason="torch_tensorrt is not installed")
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_engine_answers_like_eager_on_a_gpu(dtype: str) -> None:
    DTYPES[dtype].pin_precision()
    example = (torch.randn(2, 3, 16, 16, device="cuda", dtype=DTYPES[dtype].torch_dtype),)
    model = tiny.net().eval().to(example[0])
    program = TENSORRT.prepare(
        model,
        ExecutorRequest(
            example=example, dtype=example[0].dtype, device=example[0].device, threads=1
        ),
    )
    with torch.inference_mode():
        assert torch.allclose(program.run(example), model(*example), rtol=2e-2, atol=2e-2)
