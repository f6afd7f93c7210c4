import os
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from bench.executors import onnxruntime
from bench.executors.executor import Program
from bench.executors.request import ExecutorRequest

THREADS = 2
WATCHED_S = 0.02


def program(*, spins: bool = False) -> Program:
    # Large enough that both threads get a part of each layer.
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)).eval()
    request = ExecutorRequest(
        example=(torch.randn(1, 3, 64, 64),),
        dtype=torch.float32,
        device=torch.device("cpu"),
        threads=THREADS,
    )
    return onnxruntime.prepare(network, request, spins=spins)


def cpu_share_after(run: Callable[[], object]) -> float:
    """Return the CPUs that this process uses just after a run, while it sleeps; best of ten."""
    shares = []
    for _ in range(10):
        run()
        before_s, start = time.process_time(), time.perf_counter()
        time.sleep(WATCHED_S)
        shares.append((time.process_time() - before_s) / (time.perf_counter() - start))
    return min(shares)


def test_its_threads_sleep_after_a_run() -> None:
    shares = {}
    for spins in (False, True):
        made = program(spins=spins)
        loaded = made.load((torch.randn(1, 3, 64, 64),))
        shares[spins] = cpu_share_after(partial(made.run, loaded))
    assert shares[False] < 0.1
    assert shares[True] > 2 * shares[False]


def test_settings_are_read_back_from_the_session() -> None:
    settings = program().settings()
    assert settings["intra_op_num_threads"] == str(THREADS)
    assert settings["inter_op_num_threads"] == "1"
    assert settings["session.intra_op.allow_spinning"] == "0"
    assert settings["providers"] == "CPUExecutionProvider"
    assert settings["execution_mode"] == "ORT_SEQUENTIAL"
    assert settings["graph_optimization_level"] == "ORT_ENABLE_ALL"
    assert settings["onnxruntime"]
    assert program(spins=True).settings()["session.intra_op.allow_spinning"] == "1"


def test_it_sends_no_usage_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    program()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_it_runs_on_the_memory_of_contiguous_inputs() -> None:
    made, images = program(), torch.randn(1, 3, 64, 64)
    (array,) = made.load((images,)).values()
    assert array.ctypes.data == images.data_ptr()
    (copy,) = made.load((images.contiguous(memory_format=torch.channels_last),)).values()
    assert copy.flags.c_contiguous
