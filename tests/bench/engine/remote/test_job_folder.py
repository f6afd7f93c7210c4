import os
import threading
from pathlib import Path

import pytest

from bench.engine.remote import job as jobs
from bench.engine.remote import job_folder, messages
from bench.engine.remote.job import Job
from bench.engine.remote.job_folder import JobFolder
from bench.engine.remote.process import variables_of_run
from tests.bench.engine.remote.direct import plan, set_task
from tests.bench.engine.running import cell
from tests.limits import HANG_S

REQUEST = plan(cell("works"), rounds=1000)
JOB = jobs.encode(Job(plan=REQUEST, task=set_task(REQUEST), host="node", sent_s=0.0))


def test_lines_are_read_when_they_are_complete(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.read() == b""
    file = tmp_path / "messages.jsonl"
    file.write_bytes(b"one\ntw")
    assert folder.read() == b"one\n"
    assert folder.read() == b""
    with file.open("ab") as more:
        more.write(b"o\nthree\n")
    assert folder.read() == b"two\nthree\n"


@pytest.mark.workers
@pytest.mark.parametrize("is_told", [True, False])
def test_a_job_ends_when_its_run_says_so_or_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    run, node = JobFolder(tmp_path), JobFolder(tmp_path)
    if not is_told:
        monkeypatch.setattr(job_folder, "LEASE_S", 1.0)
    measuring = threading.Thread(target=node.measure, args=(JOB, variables_of_run(os.environ)))
    measuring.start()
    lines = b""
    while is_told and b"Visited" not in lines:
        lines += run.read()
    if is_told:
        run.stop()
    measuring.join(HANG_S)
    assert not measuring.is_alive()
    lines += run.read()
    if is_told:
        assert isinstance(messages.decode(lines.splitlines()[-1]), messages.Interrupted)
