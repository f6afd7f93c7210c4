"""Every executor's operators, from the profiler of its own library."""

from collections.abc import Iterator

import pytest
import torch

from bench.cells.cell import Cell
from bench.executors.executor import Program
from bench.executors.profiled import ITERATIONS, MAX_KINDS, REST, Totals, to_profile
from bench.records.reported import OperatorProfile
from bench.worker import profiling, subject

PROFILERS = {
    "eager": "torch.profiler",
    "compile": "torch.profiler",
    "onednn": "torch.profiler",
    "onnxruntime": "ONNX Runtime's profiler",
    "openvino": "OpenVINO's performance counters",
}
CONVOLUTIONS = {
    "eager": "aten::mkldnn_convolution",
    "compile": "aten::mkldnn_convolution",
    "onednn": "oneDNN: convolution+relu",
    "onnxruntime": "Conv",
    "openvino": "Convolution",
}


@pytest.fixture(autouse=True)
def forget_graphs() -> Iterator[None]:
    yield
    torch._dynamo.reset()
    torch.jit.enable_onednn_fusion(False)  # otherwise it would run the TorchScript of later tests


def prepared(mode: str, *, is_profiled: bool = True, task: str = "infer") -> subject.Subject:
    cell = Cell(
        arch="tests.bench.tiny:net", mode=mode, dtype="fp32", batch_size=2, task=task, device="cpu"
    )
    return subject.prepare(cell, image_size=32, seed=0, is_profiled=is_profiled)


def check(found: OperatorProfile) -> None:
    assert found.error is None
    assert found.iteration_s is not None
    total_s = sum(operator.time_s for operator in found.operators)
    assert 0 < total_s <= found.iteration_s
    times_s = [operator.time_s for operator in found.operators if operator.kind != REST]
    assert times_s == sorted(times_s, reverse=True)


@pytest.mark.parametrize("mode", PROFILERS)
def test_each_library_reports_the_convolution_of_a_network(mode: str) -> None:
    found = profiling.profile(prepared(mode).task)
    check(found)
    assert found.profiler == PROFILERS[mode]
    calls = {operator.kind: operator.calls for operator in found.operators}
    assert calls[CONVOLUTIONS[mode]] == 1


def test_a_training_step_has_the_operators_of_its_backward_pass() -> None:
    found = profiling.profile(prepared("eager", task="train").task)
    check(found)
    calls = {operator.kind: operator.calls for operator in found.operators}
    assert calls["aten::convolution_backward"] == 1


def test_onnx_runtime_needs_the_model_for_a_second_session() -> None:
    found = profiling.profile(prepared("onnxruntime", is_profiled=False).task)
    assert found.error is not None
    assert "is larger than 2 GB, and its profile is not supported" in found.error
    assert not found.operators


def test_a_program_without_a_profiler_says_so() -> None:
    task = prepared("eager").task
    task.program = Program()
    assert profiling.profile(task) == OperatorProfile(error=profiling.NO_PROFILER)


def test_many_kinds_are_summed_into_one() -> None:
    totals = Totals()
    for index in range(MAX_KINDS + 3):
        totals.add(f"kind {index}", float(1000 - index), calls=ITERATIONS)
    operators = to_profile("any", totals, wall_s=1.0).operators
    assert [operator.kind for operator in operators][-2:] == [f"kind {MAX_KINDS - 1}", REST]
    assert operators[-1].calls == 3
    total_s = sum(operator.time_s for operator in operators)
    assert total_s == pytest.approx(totals.sum_s / ITERATIONS)
