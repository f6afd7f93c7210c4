import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.cells.cell import Cell
from bench.launch import launchers
from bench.launch.launchers import ForkServer, Launcher, Spawner
from bench.launch.process import WorkerError, WorkerProcess
from bench.machine import driver
from bench.machine.pinned import for_workers
from bench.worker.protocol import Describe, Finish, Measure, Prepare, WarmUp

pytestmark = pytest.mark.workers

LIMIT_S = 120.0


def preparing(factory: str, *, task: str = "infer", mode: str = "eager") -> Prepare:
    cell = Cell(
        arch=f"tests.bench.broken:{factory}",
        mode=mode,
        dtype="fp32",
        batch_size=2,
        task=task,
        device="cpu",
    )
    return Prepare(cell=cell, image_size=32, seed=0)


@pytest.fixture(scope="module", params=["fork", "spawn"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    if request.param == "spawn":
        return Spawner(for_workers(os.environ))
    server: Launcher = request.getfixturevalue("fork_server")
    return server


@pytest.fixture
def worker(fork_server: Launcher) -> Iterator[WorkerProcess]:
    process = fork_server.launch()
    yield process
    process.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_dead(pids: list[int]) -> list[int]:
    """Wait up to 10 s, and return the processes that are still alive."""
    for _ in range(100):
        if not any(alive(pid) for pid in pids):
            break
        time.sleep(0.1)
    return [pid for pid in pids if alive(pid)]


def test_a_worker_prepares_warms_up_measures_and_ends(launcher: Launcher) -> None:
    worker = launcher.launch()
    facts = worker.request(preparing("works"), limit_s=LIMIT_S)
    assert facts.host_bytes > 0
    assert facts.output_error <= facts.error_bound
    warm_up = worker.request(WarmUp(), limit_s=LIMIT_S)
    assert len(warm_up.durations_s) >= 6
    timing = worker.request(Measure(iterations=4), limit_s=LIMIT_S)
    assert len(timing.host_s) == 4
    assert min(timing.host_s) > 0
    assert timing.back_to_back is None  # iterations on a CPU always run back to back
    again = worker.request(Measure(iterations=2, back_to_back=3), limit_s=LIMIT_S)
    assert (len(again.host_s), again.back_to_back) == (2, None)
    finished = worker.request(Finish(), limit_s=LIMIT_S)
    assert finished.recompiled_graphs == 0
    assert finished.peak_resident_bytes > 50 * 2**20  # torch alone is more
    worker.close()
    assert wait_until_dead([worker.pid]) == []


def test_output_of_a_network_is_not_taken_for_a_reply(worker: WorkerProcess) -> None:
    worker.request(preparing("prints"), limit_s=LIMIT_S)
    assert "not the worker" in worker.stderr()


def test_child_processes_of_a_network_cannot_read_the_requests(worker: WorkerProcess) -> None:
    worker.request(preparing("starts_what_reads_its_input"), limit_s=LIMIT_S)
    assert set(worker.stderr().splitlines()) == {"read 0 bytes"}


def test_an_error_has_type_first_line_and_stderr_of_the_exception(worker: WorkerProcess) -> None:
    worker.request(preparing("raises_when_warmed_up"), limit_s=LIMIT_S)
    with pytest.raises(WorkerError, match=r"^ValueError: broke$") as caught:
        worker.request(WarmUp(), limit_s=LIMIT_S)
    assert caught.value.kind == "error"
    printed, *frame = caught.value.stderr.splitlines()
    assert printed == "about to raise"
    assert any('broken.py", line' in line and line.endswith(", in act") for line in frame)
    assert 'raise ValueError("broke' in frame[-1]


def test_an_error_in_a_factory_has_its_source_line(worker: WorkerProcess) -> None:
    with pytest.raises(WorkerError) as caught:
        worker.request(preparing("raises_when_built"), limit_s=LIMIT_S)
    where, line = caught.value.stderr.splitlines()
    assert where.endswith(", in raises_when_built")
    assert line.strip() == 'raise RuntimeError("no such weights")'


@pytest.mark.parametrize(
    ("factory", "kind", "words"),
    [
        ("raises_when_called", "error", "IndexError: no such layer"),
        ("raises_when_built", "request", r"\(\) raised RuntimeError: no such weights"),
        ("needs_a_petabyte_to_be_built", "out_of_memory", "tried to allocate 4,294,967,296 MiB"),
        ("answers_wrongly", "wrong_answer", "the output differs from call to call, by "),
        ("needs_a_petabyte", "out_of_memory", "tried to allocate 4,294,967,296 MiB"),
        ("is_no_factory", "request", "cannot import 'is_no_factory'"),
    ],
)
def test_each_failure_has_the_expected_kind_and_message(
    worker: WorkerProcess, factory: str, kind: str, words: str
) -> None:
    with pytest.raises(WorkerError, match=words) as caught:
        worker.request(preparing(factory), limit_s=LIMIT_S)
    assert caught.value.kind == kind


def test_training_switches_dropout_off_and_checks_gradients(worker: WorkerProcess) -> None:
    request = preparing("drops_out", task="train", mode="channels_last")
    setup = worker.request(request, limit_s=LIMIT_S)
    assert setup.gradient_error is not None
    assert setup.output_error < 1e-4
    assert len(worker.request(Measure(iterations=3), limit_s=LIMIT_S).host_s) == 3


@pytest.mark.parametrize(
    ("devices", "answers", "kind"),
    [(1, False, Spawner), (1, True, ForkServer), (0, False, ForkServer)],
)
def test_workers_are_forked_only_if_the_server_cannot_have_initialised_cuda(
    devices: int, answers: bool, kind: type[Launcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "devices", lambda: devices)
    monkeypatch.setattr(driver, "_nvml_answers", lambda: answers)
    with launchers.launcher(for_workers(os.environ), ["no library"]) as started:
        assert type(started) is kind


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
@pytest.mark.parametrize("imports", [(), ("torchvision",), ("bench.worker.preload",)])
def test_imports_of_the_fork_server_do_not_initialise_cuda(imports: tuple[str, ...]) -> None:
    """With NVML, PyTorch counts devices without initialising CUDA."""
    code = (
        "import importlib, os, sys, torch\n"
        "torch.cuda._device_count_nvml = lambda: 1\n"
        "import bench.worker.worker\n"
        "[importlib.import_module(name) for name in sys.argv[1:]]\n"
        "os.fork() or os._exit(torch.cuda._is_in_bad_fork())\n"
        "sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    started = [sys.executable, "-c", code, *imports]
    assert subprocess.run(started, env=for_workers(os.environ), check=False).returncode == 0


@pytest.mark.parametrize("ahead", [1, 2])
def test_a_renewed_launcher_uses_a_new_server_and_ends_the_old_one(ahead: int) -> None:
    with ForkServer(for_workers(os.environ), ahead=ahead) as server:
        worker = server.launch()
        before = {*server.pids, worker.pid} - {os.getpid()}
        server.renew()
        server.wait()
        assert wait_until_dead(list(before)) == []
        worker.kill()
        assert before.isdisjoint(server.pids)
        other = server.launch()
        assert other.request(Describe(device="cpu"), limit_s=LIMIT_S).device == "cpu"
        other.close()


def test_servers_are_started_ahead_and_end_with_the_launcher() -> None:
    parent = psutil.Process()
    before = set(parent.children())

    def started() -> set[psutil.Process]:
        return set(parent.children()) - before

    with ForkServer(for_workers(os.environ), ahead=2) as server:
        first, second = started()
        assert server.pids[1] in {first.pid, second.pid}
        server.renew()
        (remaining,) = started()
        assert server.pids == (os.getpid(), remaining.pid)
        server.renew()
        assert remaining not in started()
        assert len(started()) == 2
    assert not started()


def test_the_error_for_a_dead_worker_names_the_signal(launcher: Launcher) -> None:
    worker = launcher.launch()
    worker.request(Describe(device="cpu"), limit_s=LIMIT_S)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="killed by SIGKILL") as caught:
        worker.request(Finish(), limit_s=LIMIT_S)
    assert caught.value.kind == "died"


def test_a_worker_that_hangs_is_killed(worker: WorkerProcess) -> None:
    worker.request(preparing("hangs"), limit_s=LIMIT_S)
    with pytest.raises(WorkerError, match="no answer within 1 s") as caught:
        worker.request(Measure(iterations=100), limit_s=1.0)
    assert caught.value.kind == "timeout"
    assert wait_until_dead([worker.pid]) == []


def test_a_stopped_worker_is_killed_long_before_its_time_is_over(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.launch.process.STOPPED_S", 1.0)
    worker.request(Describe(device="cpu"), limit_s=LIMIT_S)
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="stopped for 1 s by a signal") as caught:
        worker.request(Describe(device="cpu"), limit_s=10 * LIMIT_S)
    assert caught.value.kind == "timeout"
    assert wait_until_dead([worker.pid]) == []


def test_a_worker_that_is_stopped_for_a_moment_answers(worker: WorkerProcess) -> None:
    worker.request(Describe(device="cpu"), limit_s=LIMIT_S)
    os.kill(worker.pid, signal.SIGSTOP)
    continued = threading.Timer(2.0, os.kill, (worker.pid, signal.SIGCONT))
    continued.start()
    assert worker.request(Describe(device="cpu"), limit_s=LIMIT_S).torch
    continued.join()


def test_a_missing_device_is_a_wrong_request(worker: WorkerProcess) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(WorkerError, match="use --device cpu") as caught:
        worker.request(Describe(device="cuda"), limit_s=LIMIT_S)
    assert caught.value.kind == "request"


def test_an_interpreter_that_fails_is_reported_with_its_status_and_stderr(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no torch here >&2\nexit 3\n")
    broken.chmod(0o755)
    from bench.launch.launchers import ForkServer

    with (
        ForkServer(for_workers(os.environ), python=str(broken)) as server,
        pytest.raises(WorkerError, match="ended with exit status 3") as caught,
    ):
        server.launch()
    assert "no torch here" in caught.value.stderr


PARENT = """
import os, sys, time
import msgspec
from bench.machine.pinned import for_workers
from bench.launch.launchers import ForkServer, Spawner
from bench.worker.protocol import Describe, Measure, Prepare
kind = {"fork": ForkServer, "spawn": Spawner}[sys.argv[1]]
launcher = kind(for_workers(os.environ))
workers = [launcher.launch() for _ in range(2)]
for worker in workers:
    worker.request(Describe(device="cpu"), limit_s=120)
workers[1].request(msgspec.json.decode(sys.argv[2], type=Prepare), limit_s=120)
workers[1].send(Measure(iterations=100))
print(*(worker.pid for worker in workers), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_idle_and_busy_workers_end_with_their_parent(kind: str) -> None:
    hanging = msgspec.json.encode(preparing("hangs")).decode()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind, hanging], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_dead(pids) == []


def test_pids_are_those_of_this_process_and_the_server(fork_server: Launcher) -> None:
    server = psutil.Process(os.getpid()).children()
    assert fork_server.pids[0] == os.getpid()
    assert fork_server.pids[1] in {process.pid for process in server}
    assert Spawner({}).pids == (os.getpid(),)


def test_workers_run_only_on_the_requested_cpus() -> None:
    cpus = {min(os.sched_getaffinity(0))}
    with ForkServer(for_workers(os.environ), cpus=cpus) as server:
        worker = server.launch()
        assert os.sched_getaffinity(worker.pid) == cpus
        worker.close()


def test_a_reply_of_another_form_is_an_error_of_the_worker(worker: WorkerProcess) -> None:
    worker.send(Describe(device="cpu"))
    with pytest.raises(WorkerError, match=r"the worker's reply cannot be read: .*durations_s"):
        worker.receive(WarmUp, LIMIT_S)
    assert worker.request(Describe(device="cpu"), limit_s=LIMIT_S).device == "cpu"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"op": "no such operation"}, "no such operation"),
        ({"op": "measure"}, "missing required field `iterations`"),
        ({"op": "describe", "device": 3}, "Expected `str`, got `int`"),
    ],
)
def test_a_request_that_cannot_be_read_is_answered_and_the_worker_lives_on(
    worker: WorkerProcess, line: dict[str, object], reason: str
) -> None:
    os.write(worker._streams.requests, msgspec.json.encode(line) + b"\n")
    with pytest.raises(WorkerError, match=reason) as caught:
        worker.receive(Describe, LIMIT_S)
    assert caught.value.kind == "request"
    assert worker.request(Describe(device="cpu"), limit_s=LIMIT_S).device == "cpu"


def test_a_name_that_is_not_unicode_is_a_wrong_request(worker: WorkerProcess) -> None:
    with pytest.raises(WorkerError, match="not valid Unicode") as caught:
        worker.request(preparing("\udcff"), limit_s=LIMIT_S)
    assert caught.value.kind == "request"
    assert worker.request(Describe(device="cpu"), limit_s=LIMIT_S).device == "cpu"
