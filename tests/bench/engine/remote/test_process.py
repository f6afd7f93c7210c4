import os
from contextlib import closing
from pathlib import Path

import pytest

from bench.archs import source_file
from bench.engine.remote import job as jobs
from bench.engine.remote import messages, process
from bench.engine.remote.job import Job
from bench.engine.remote.process import JobProcess, variables_of_run
from tests.bench.engine.remote.direct import plan, set_task
from tests.bench.engine.running import cell

REQUEST = plan(cell("works"), rounds=1000)
JOB = jobs.encode(Job(plan=REQUEST, task=set_task(REQUEST), host="node", sent_s=0.0))


def test_a_scheduler_does_not_decide_on_threads() -> None:
    of_node = {"OMP_NUM_THREADS": "1", "HOME": "/root", "PYTHONPATH": "/node"}
    assert process.environment(of_node, {}) == {"HOME": "/root", "PYTHONPATH": "/node"}
    of_run = variables_of_run({"OMP_NUM_THREADS": "4", "PYTHONPATH": "/run", "HOME": "/me"})
    result = process.environment(of_node, of_run)
    assert result["OMP_NUM_THREADS"] == "4"
    assert (result["HOME"], result["PYTHONPATH"]) == ("/root", "/run")
    assert result[source_file.VARIABLE] == str(Path.cwd())


@pytest.mark.workers
@pytest.mark.parametrize("how", ["interrupt", "end"])
def test_a_process_judges_the_present_rounds_when_it_is_told_to_end(how: str) -> None:
    with closing(JobProcess(JOB, variables_of_run(os.environ))) as started:
        seen, is_told = [], False
        for chunk in started.chunks():
            seen += [messages.decode(line) for line in chunk.splitlines()]
            if not is_told and any("Visited" in str(each) for each in seen):
                is_told = True
                getattr(started, how)()
    assert isinstance(seen[-1], messages.Interrupted)
    kinds = [type(each.event).__name__ for each in seen if isinstance(each, messages.Happened)]
    last_visit = len(kinds) - kinds[::-1].index("Visited")
    assert "RoundEnded" in kinds[last_visit:]


@pytest.mark.workers
def test_a_process_whose_messages_nobody_reads_ends() -> None:
    started = JobProcess(JOB, variables_of_run(os.environ))
    for chunk in started.chunks():
        if b"Visited" in chunk:
            break
    started.close()  # would kill it after ``GRACE_S``
    assert started._process.returncode == 0


@pytest.mark.workers
def test_an_error_of_the_process_is_its_last_message() -> None:
    with closing(JobProcess(b"{}\n", variables_of_run(os.environ))) as started:
        *_, last = [line for chunk in started.chunks() for line in chunk.splitlines()]
    died = messages.decode(last)
    assert isinstance(died, messages.Died)
    assert died.why == "the measuring process ended with exit status 1"
    assert "plan" in died.stderr
