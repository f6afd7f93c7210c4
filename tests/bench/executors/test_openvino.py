import sys
from dataclasses import dataclass
from typing import Any

import openvino
import pytest
import torch
from torch import nn

from bench.errors import RequestError
from bench.executors.executor import Program
from bench.executors.openvino import OPENVINO, _precision, _refuse_other
from bench.executors.request import ExecutorRequest
from tests.bench.executors.test_onnxruntime import cpu_share_after

IMAGES = 1, 3, 64, 64
needs_bf16 = pytest.mark.skipif(
    "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this CPU does not compute in bf16",
)


def program(*, threads: int = 1, dtype: torch.dtype = torch.float32) -> Program:
    request = ExecutorRequest(
        example=(torch.randn(IMAGES),), dtype=dtype, device=torch.device("cpu"), threads=threads
    )
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)).eval()
    return OPENVINO.prepare(network, request)


def test_settings_are_read_back_from_the_compiled_model() -> None:
    settings = program().settings()
    assert settings["openvino"] == openvino.__version__
    assert settings["INFERENCE_PRECISION_HINT"] == "f32"
    assert settings["INFERENCE_NUM_THREADS"] == "1"
    assert settings["NUM_STREAMS"] == "1"
    assert settings["PERFORMANCE_HINT"] == "LATENCY"
    assert settings["ENABLE_CPU_PINNING"] == "False"


@needs_bf16
def test_bf16_is_computed_from_weights_and_images_in_fp32() -> None:
    torch.manual_seed(0)
    images = torch.randn(IMAGES)
    outputs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(1)
        made = program(dtype=dtype)
        outputs.append(made.unload(made.run(made.load((images,)))).clone())
    assert made.settings()["INFERENCE_PRECISION_HINT"] == "bf16"
    exact, narrow = outputs
    assert narrow.dtype == torch.float32
    error = (narrow - exact).norm() / exact.norm()
    assert 1e-4 < error < 3e-2  # bf16 keeps 8 bits


@dataclass(frozen=True)
class OldCpu:
    """Stands for ``openvino.Core`` on a CPU without bf16, or for what it compiled."""

    value: Any

    def get_property(self, *names: str) -> Any:
        del names
        return self.value


def test_bf16_on_a_cpu_without_it_is_refused() -> None:
    core = OldCpu(["WINOGRAD", "FP32", "INT8"])
    assert _precision(core, torch.float32) == "f32"
    with pytest.raises(RequestError, match="bf16 on this CPU, only in FP32, INT8; choose"):
        _precision(core, torch.bfloat16)


def test_a_property_that_openvino_changed_is_refused() -> None:
    _refuse_other(OldCpu(2), {"INFERENCE_NUM_THREADS": 2})
    with pytest.raises(RequestError, match="asked for INFERENCE_NUM_THREADS=4 but took 2, so its"):
        _refuse_other(OldCpu(2), {"INFERENCE_NUM_THREADS": 4})


def test_its_threads_sleep_after_a_run() -> None:
    made = program(threads=2)
    loaded = made.load((torch.randn(IMAGES),))
    assert cpu_share_after(lambda: made.run(loaded)) < 0.1


def test_inputs_share_the_memory_of_contiguous_tensors() -> None:
    images = torch.randn(IMAGES)
    (tensor,) = program().load((images,))
    assert tensor.data.ctypes.data == images.data_ptr()


def test_torch_compile_is_left_as_it_is() -> None:
    program()
    assert "openvino.torch" not in sys.modules
