"""A fork server whose workers are real processes that do no work and log their answers.

``python worker.py run_module.py bench.launch.forkserver FD MODULE`` stands for the interpreter of
launchers.py.
"""

import json
import os
import random
import resource
import runpy
import sys
import time
import types
from typing import Any

import msgspec

from bench.worker.protocol import Finished, Measured, Prepared, WarmedUp

ENVIRONMENT = {
    "torch": "none",
    "device": "cpu",
    "device_name": "idle",
    "physical_cores": 1,
    "variables": {},
}
COST = {"params": 1, "params_with_aux": 1, "macs_per_image": 1, "fvcore_total_per_image": 1}
CEILING = {
    "probes": [{"kind": "product", "size": "1×1×1", "mac_per_s": 1.0}],
    "failed": [],
    "bytes_per_s": 1.0,
    "copied_bytes": 1,
    "bytes_per_element": 4,
    "threads": 1,
}
PREPARED = Prepared(
    build_s=0.1,
    first_call_s=0.1,
    compile_cached=None,
    graphs=0,
    graph_breaks=0,
    cudagraph_skips=0,
    batches=1,
    weights_bytes=1,
    output_error=1e-6,
    error_bound=1e-3,
    gradient_error=None,
    tf32_convolutions=False,
    tf32_products=False,
    executor_settings={},
    resident_before_bytes=1,
    host_bytes=1,
    device_bytes=None,
    device_reserved_bytes=None,
    device_free_bytes=None,
)
FINISHED = Finished(
    peak_resident_bytes=1,
    peak_allocated_bytes=None,
    peak_reserved_bytes=None,
    peak_memory_bytes=1,
    memory_is_reserved=False,
    recompiled_in_warm_up=0,
    recompiled_graphs=0,
    late_graph_breaks=0,
    late_wrong_answer=None,
)
LATENCY_S = 0.08  # reported latency; a visit has two timed iterations and a dropped one
ANSWER_S = 0.004  # time that an answer really takes


def run() -> None:
    """Answer requests like bench.worker.worker.run, but without a network."""
    _log()
    with os.fdopen(os.dup(1), "wb") as replies:
        for line in sys.stdin:
            answer = _answer(json.loads(line))
            time.sleep(ANSWER_S)
            if isinstance(answer, Measured):  # logged before answering: the reader may be dead
                _log(host_s=answer.host_s)
            replies.write(msgspec.json.encode({"ok": answer}) + b"\n")
            replies.flush()


def _answer(request: dict[str, Any]) -> object:
    answers = {
        "describe": ENVIRONMENT,
        "cost": COST,
        "ceiling": CEILING,
        "prepare": PREPARED,
        "warm_up": WarmedUp(durations_s=(LATENCY_S,) * 3),
        "finish": FINISHED,
    }
    if request["op"] != "measure":
        return answers[request["op"]]
    source = random.SystemRandom()  # so that no two samples of a test are equal
    return Measured(
        dropped_s=(LATENCY_S,),
        host_s=tuple(LATENCY_S * (1 + source.random()) for _ in range(request["iterations"])),
        device_s=(),
        disturbed_s=(),
        back_to_back=None,
    )


def _log(**fields: Any) -> None:
    line = json.dumps({"pid": os.getpid(), **fields}) + "\n"
    log = os.open(os.environ["KILLS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, line.encode())
    os.close(log)


if __name__ == "__main__":
    # The disk is full for the session, which measures, but not for the log of the workers.
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    _log()
    module = types.ModuleType("bench.worker.worker")
    module.run = run  # type: ignore[attr-defined]
    sys.modules["bench.worker.worker"] = module
    sys.argv = ["bench.launch.forkserver", *sys.argv[3:5]]
    runpy.run_module("bench.launch.forkserver", run_name="__main__")
