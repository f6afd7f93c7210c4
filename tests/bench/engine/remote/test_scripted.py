"""What a remote host does with the messages of nodes, which a script writes."""

from collections.abc import Sequence

import pytest

from bench.cells.plan import Plan
from bench.engine.hosts.host import Described
from bench.engine.remote import messages
from bench.engine.remote.connection import Connection, NodeLostError
from bench.engine.remote.job import Job, decode, encode
from bench.engine.remote.messages import Message
from bench.engine.remote.remote_host import RemoteHost, common
from bench.engine.tasks import PreflightTask
from bench.launch.process import WorkerError
from bench.machine.busiest import Busiest, BusyProcess
from bench.machine.environment import CardFacts, Environment
from bench.records import events
from tests.bench.engine.remote.direct import plan, set_task
from tests.bench.engine.running import Watcher, cell

REQUEST = plan(cell("works"))
HERE, ELSEWHERE = Environment(device="cpu", cpu="fast"), Environment(device="cpu", cpu="slow")
NOTHING = PreflightTask(archs=(), dtypes=(), fits=())


class ScriptedConnection(Connection):
    """Sends messages, and ends."""

    name = "node"

    def __init__(self, script: Sequence[Message]) -> None:
        super().__init__()
        self._chunks = [b"".join(map(messages.encode, script))]

    def receive(self, limit_s: float | None) -> bytes:
        del limit_s
        if not self._chunks:
            raise NodeLostError("gone")
        return self._chunks.pop()

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class ScriptedCluster(RemoteHost):
    """Nodes that send what a script says, one after the other."""

    name = "cluster"

    def __init__(self, request: Plan, progress: Watcher, *scripts: Sequence[Message]) -> None:
        super().__init__(request, progress, unix_time=lambda: 0.0)
        self.jobs: list[Job] = []
        self.avoided = 0
        self._scripts = list(scripts)

    def connect(self, job: Job) -> Connection:
        if not self._scripts:
            raise WorkerError("start", "no node is left")
        self.jobs.append(decode(encode(job)))
        return ScriptedConnection(self._scripts.pop(0))

    def avoid(self, connection: Connection) -> bool:
        del connection
        self.avoided += 1
        return True


def node(environment: Environment) -> messages.NodeDescribed:
    return messages.NodeDescribed(described=Described(environment=environment))


def happened(event: events.Event) -> messages.Happened:
    return messages.Happened(event=event)


def test_a_lost_set_is_repeated_from_its_last_complete_wave() -> None:
    task = set_task(REQUEST, rounds=None, budget_left_s=10.0)
    ended = events.WaveEnded(task.group, 0, 0)
    allotted = events.Allotted(group=task.group, rounds=7)
    failed = messages.Died(why="the measuring process was killed", stderr="a\nout of memory")
    watcher = Watcher()
    cluster = ScriptedCluster(
        REQUEST,
        watcher,
        [node(HERE), messages.Completed()],
        [node(HERE), happened(allotted), happened(ended), failed],
        [node(HERE), messages.Completed()],
    )
    assert list(cluster.preflight(NOTHING)) == [Described(environment=HERE)]
    first, second, noted = cluster.measure_set(task)
    assert (first, second) == (allotted, ended)
    assert isinstance(noted, events.Noted)
    assert noted.sentence == (
        "Set 1 of fp32/b1/infer/cpu is measured again on another node: node: the measuring process "
        "was killed: out of memory."
    )
    repeated = cluster.jobs[2].task
    assert not isinstance(repeated, PreflightTask)
    assert (repeated.rounds, repeated.ended, repeated.cells) == (7, (0,), task.cells)
    assert cluster.avoided == 0


def test_nodes_of_another_kind_are_not_used_again_and_not_counted_as_losses() -> None:
    refused = messages.Refused(sentence="it has other code")
    others: list[list[Message]] = [
        [node(ELSEWHERE)],
        [node(ELSEWHERE)],
        [refused],
        [node(ELSEWHERE)],
    ]
    cluster = ScriptedCluster(
        REQUEST,
        Watcher(),
        [node(HERE), messages.Completed()],
        *others,
        [node(HERE), messages.Completed()],
    )
    list(cluster.preflight(NOTHING))
    notes = list(cluster.measure_set(set_task(REQUEST)))
    assert len(notes) == cluster.avoided == len(others)
    assert "cpu is 'slow' here, but the run began with 'fast'" in str(notes[0])


def test_the_preflight_is_described_once_and_not_measured_twice() -> None:
    task = PreflightTask(archs=(), dtypes=("fp32", "bf16"), fits=())
    peak = messages.decode(
        b'{"type":"Happened","event":{"type":"Ceiling","dtype":"fp32","facts":{"error":"none"}}}'
    )
    cluster = ScriptedCluster(
        REQUEST, Watcher(), [node(HERE), peak], [node(HERE), messages.Completed()]
    )
    described, measured, noted = cluster.preflight(task)
    assert isinstance(described, Described)
    assert isinstance(measured, events.CeilingMeasured)
    assert isinstance(noted, events.Noted)
    assert cluster.jobs[1].task == PreflightTask(archs=(), dtypes=("bf16",), fits=())


def test_no_worker_on_a_node_is_an_error_that_names_the_node() -> None:
    lacking = messages.NoWorker(kind="start", sentence="no torch", stderr="ImportError")
    cluster = ScriptedCluster(REQUEST, Watcher(), [lacking])
    with pytest.raises(WorkerError, match="node: no torch") as raised:
        list(cluster.preflight(NOTHING))
    assert (raised.value.kind, raised.value.stderr) == ("start", "ImportError")


def test_the_busiest_processes_are_those_of_the_node() -> None:
    busiest = Busiest(processes=(BusyProcess(pid=7, name="raylet", cpus=0.5),))
    cluster = ScriptedCluster(
        REQUEST,
        Watcher(),
        [node(HERE), messages.LoadWatched(busiest=busiest), messages.Completed()],
    )
    assert str(cluster.busiest()).startswith("none that is visible")
    list(cluster.preflight(NOTHING))
    assert cluster.busiest() == busiest


def test_nodes_of_one_kind_may_have_different_cards_and_numbers_of_cards() -> None:
    def about(uuid: str, number: str) -> Environment:
        return Environment(
            cards={"cuda": CardFacts(uuid=uuid, driver="580")},
            variables={"CUDA_VISIBLE_DEVICES": number, "OMP_NUM_THREADS": "2"},
        )

    one, two = common(about("GPU-1", "0")), common(about("GPU-2", "3"))
    assert one == two
    assert one.cards["cuda"].driver == "580"
    assert one.variables == {"OMP_NUM_THREADS": "2"}
