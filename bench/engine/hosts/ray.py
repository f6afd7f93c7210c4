"""The Ray host: each task runs on a node of a Ray cluster, which it has to itself."""

import logging
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.engine.remote import job as jobs
from bench.engine.remote.actor import JobActor
from bench.engine.remote.connection import Connection, NodeLostError
from bench.engine.remote.job import Job
from bench.engine.remote.process import GRACE_S
from bench.engine.remote.remote_host import RemoteHost
from bench.errors import RequestError
from bench.launch.process import WorkerError
from bench.records.code import Code

SLOT = "bench_slot"
HOW_TO_START = f"""ray start --address=HEAD:6379 --resources='{{"{SLOT}": 1}}'"""
CONNECT_S = 10.0
QUEUE_NOTE_S = 20.0  # a free node sends its first message within a few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the cluster that may measure."""

    id: str
    name: str
    """Its name in the run."""
    cpus: float
    gpus: float


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect this process to a cluster, unless it is connected already.

    Raises ``RequestError`` if there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    _check_reachable(address)
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise RequestError(
            f"--ray-address {address}: cannot connect to a Ray cluster: {why}"
        ) from error
    with suppress(ValueError):  # outside the main thread
        signal.signal(signal.SIGTERM, before)  # Ray ends the process
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise ``RequestError`` if nothing listens at HOST:PORT, for which Ray tries for a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        raise RequestError(
            f"--ray-address {address}: cannot connect to a Ray cluster: {error}"
        ) from error


class RayHost(RemoteHost):
    """The nodes of a Ray cluster that offer a ``bench_slot``, in turn.

    A job takes all CPUs of its node, and all its GPUs if the cells run on one, so that Ray runs
    nothing else there. Ray's own processes count as load of others.
    """

    name = "ray"

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        *,
        variables: Mapping[str, str],
        labels: Mapping[str, str] | None = None,
        code: Code | None = None,
    ) -> None:
        """``variables`` are those of the run; only nodes with these ``labels`` measure.

        The process must be connected. Raises ``RequestError`` if there is no such node.
        """
        super().__init__(plan, progress, code=code)
        self._variables = variables
        self._labels = labels or {}
        self._names: dict[str, str] = {}
        self._unusable: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._choosing = threading.Lock()
        self.slots = len(self.nodes())
        if not self.slots:
            raise RequestError(self._no_node())

    def nodes(self) -> list[Node]:
        """Return the nodes that may measure, in the order in which they were first seen."""
        import ray

        listed: Callable[[], list[dict[str, Any]]] = ray.nodes
        found = [
            Node(
                id=each["NodeID"],
                name=self._names.setdefault(each["NodeID"], f"ray-{len(self._names) + 1}"),
                cpus=each["Resources"].get("CPU", 0.0),
                gpus=each["Resources"].get("GPU", 0.0),
            )
            for each in listed()
            if each["Alive"] and self._is_usable(each)
        ]
        order = list(self._names)
        return sorted(found, key=lambda node: order.index(node.id))

    def connect(self, job: Job) -> Connection:
        """Send a job to the free node that has measured the fewest.

        Raises ``WorkerError`` if no node is left.
        """
        with self._choosing:
            nodes = self.nodes()
            if not nodes:
                raise WorkerError("start", self._no_node())
            node = min(nodes, key=lambda each: (self._busy[each.id], self._turns[each.id]))
            self._turns[node.id] += 1
            self._busy[node.id] += 1
        line = jobs.encode(msgspec.structs.replace(job, host=node.name))
        return _RayConnection(self, node, line, self._variables, with_gpus=job.plan.is_on_gpu)

    def release(self, node: Node) -> None:
        """Note that a job has left its node."""
        self._busy[node.id] -= 1

    def queued(self, node: Node) -> None:
        """Tell the user that a job waits for its node."""
        self._progress.note(f"{node.name} is not free yet: waiting until others leave it")

    def avoid(self, connection: Connection) -> bool:
        """Do not use the node of a connection again."""
        if isinstance(connection, _RayConnection):
            self._unusable.add(connection.node.id)
        return True

    def _is_usable(self, node: Mapping[str, Any]) -> bool:
        has_labels = self._labels.items() <= (node.get("Labels") or {}).items()
        is_offered = node["Resources"].get(SLOT, 0.0) >= 1
        return has_labels and is_offered and node["NodeID"] not in self._unusable

    def _no_node(self) -> str:
        wanted = "".join(f", the label {name}={value}" for name, value in self._labels.items())
        left = " that can still be used" if self._unusable else ""
        return (
            f"the Ray cluster has no node with the resource {SLOT}{wanted}{left}; start Ray on "
            f"each node that may measure with: {HOW_TO_START}"
        )


class _RayConnection(Connection):
    """An actor on a node, and the stream of its messages."""

    def __init__(
        self,
        host: RayHost,
        node: Node,
        job: bytes,
        variables: Mapping[str, str],
        *,
        with_gpus: bool,
    ) -> None:
        """Start the actor, which waits until it has the node to itself."""
        super().__init__()
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.node, self.name = node, node.name
        self._host = host
        self._has_begun = False
        self._ref: Any = None
        remote_class: Any = ray.remote(JobActor)  # what its methods return is not typed
        actor = remote_class.options(
            num_cpus=node.cpus,
            num_gpus=node.gpus if with_gpus else 0,
            resources={SLOT: 1},
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        )
        self._actor: Any = actor.remote()
        self._stream = self._actor.measure.options(num_returns="streaming").remote(
            job, dict(variables)
        )

    def receive(self, limit_s: float | None) -> bytes:
        """Wait for the next lines; raises ``NodeLostError`` if the stream or the node ends."""
        import ray

        try:
            self._wait(limit_s)
            self._ref = next(self._stream) if self._ref is None else self._ref
            chunk: bytes = ray.get(self._ref)
        except StopIteration:
            raise NodeLostError("its stream of messages ended early") from None
        except ray.exceptions.RayTaskError as error:  # an error of our own code on the node
            raise NodeLostError(f"its actor failed: {error.cause}") from error
        except ray.exceptions.RayError as error:
            why = str(error).strip().partition("\n")[0]
            raise NodeLostError(f"the node was lost: {why}", is_of_node=True) from error
        self._ref, self._has_begun = None, True
        return chunk

    def _wait(self, limit_s: float | None) -> None:
        """Wait until the stream has something; say so if the node is not free."""
        import ray

        if self._ref is not None:
            return
        if not self._has_begun and not ray.wait([self._stream], timeout=QUEUE_NOTE_S)[0]:
            self._host.queued(self.node)
        if not ray.wait([self._stream], timeout=limit_s)[0]:
            raise NodeLostError(f"no message within {limit_s:.0f} s")

    def interrupt(self) -> None:
        """Let the process judge the rounds until now, and end."""
        self._actor.interrupt.remote()

    def close(self) -> None:
        """End the process and the actor, which frees the node."""
        import ray

        with suppress(ray.exceptions.RayError):
            if self._has_begun:
                ray.get(self._actor.end.remote(), timeout=2 * GRACE_S)
        ray.kill(self._actor)
        self._host.release(self.node)
