"""The program in place of the interpreter: gets a fork of the server, and ends as it ends.

``python client.py PROGRAM INTERPRETER SOCKET ARGUMENT…`` acts like ``INTERPRETER ARGUMENT…``. The
fork has ``PROGRAM`` for ``sys.executable``. This file imports little, because it is started often.
"""

import array
import contextlib
import json
import os
import signal
import socket
import sys

TYPE_CHECKING = False  # typing takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Sequence

# What is forked: scripts, modules that run with -m, and those that bench/launch/run_module.py runs.
# Workers that an interpreter runs are not: their memory and CPUs are looked up by process id.
FORKED = {"bench", "pytest"}
RUN_MODULE = "bench/launch/run_module.py"
MAIN = "from bench.__main__ import main"  # in the code of the command googlenet-bench
# The code of a process of pytest-xdist.
EXECNET = "import sys;exec(eval(sys.stdin.readline()))"
STARTED = {"bench.launch.forkserver", "bench.counts.count_worker", "bench.api.remote"}
# Variables that libraries read while they are imported, or the interpreter while it starts.
READ_EARLY = (
    "TORCH",
    "PYTORCH",
    "CUDA",
    "MKL",
    "KMP",
    "DNNL",
    "ONEDNN",
    "LD_",
    "PYTHON",
    "OMP_NUM",
)
MAY_DIFFER = {
    "CUDA_VISIBLE_DEVICES",  # read when a device is used
    "PYTHONIOENCODING",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "PYTHONUNBUFFERED",
    "PYTORCH_NVML_BASED_CUDA_CHECK",  # the server has it, as workers have
    "TORCHINDUCTOR_CACHE_DIR",  # read when it is needed
}
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NUMBER_BYTES = 8
MAX_FILES = 200  # of one message; the kernel takes 253


def early(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables that a fork cannot take over."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_EARLY) and name not in MAY_DIFFER
    }


def forks(arguments: "Sequence[str]") -> bool:
    """Whether a fork runs this command like an interpreter."""
    if is_of_xdist(arguments):
        return True
    match without_safe_path(arguments):
        case ["-m", module, *_]:
            return module in FORKED
        case ["-c", code, *_]:
            return MAIN in code
        case [script, module, *_] if script.endswith(RUN_MODULE):
            return module in STARTED
        case [script, *_]:
            return script.endswith(".py")
    return False


def is_of_xdist(arguments: "Sequence[str]") -> bool:
    """Whether this starts a process of pytest-xdist, which opens its streams itself."""
    return [*arguments] == ["-u", "-c", EXECNET]


def without_safe_path(arguments: "Sequence[str]") -> "Sequence[str]":
    """Return a command without ``-P``, the only option of the interpreter that a fork knows."""
    return arguments[1:] if arguments[0] == "-P" else arguments


def open_files() -> list[int]:
    """Return the file descriptors that this process passes on."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib takes 20 ms to import
        with contextlib.suppress(OSError):  # that of the listing itself
            if os.get_inheritable(int(name)):
                found.append(int(name))
    return sorted(found)


def ask(connection: socket.socket, address: str, request: object, files: list[int]) -> int:
    """Return the process id of a fork; 0 if the server still imports, has ended, or refuses."""
    text = json.dumps(request).encode()
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
    try:
        connection.connect(address)
        connection.sendmsg([len(text).to_bytes(NUMBER_BYTES, "big")], passed)
        connection.sendall(text)
        return int.from_bytes(connection.recv(NUMBER_BYTES), "big")
    except OSError:
        return 0


def follow(connection: socket.socket, fork: int, files: list[int]) -> int:
    """Wait for the end of the fork, pass on signals, and return its exit status."""
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(fork, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    # Only the fork has these files from now on: their other ends see when it closes them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in files:
        os.dup2(nothing, file)
    ended = connection.recv(NUMBER_BYTES)
    return int.from_bytes(ended, "big", signed=True) if ended else 1


def main(program: str, interpreter: str, address: str, *arguments: str) -> None:
    """Let a fork of the server run a command, or the interpreter if that cannot be."""
    files = open_files()
    ignored = [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]
    request = {
        "program": program,
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes 20 ms to import
        "files": files,
        "cpus": sorted(os.sched_getaffinity(0)),
        "ignored": ignored,
    }
    connection = socket.socket(socket.AF_UNIX)
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    can_fork = forks(arguments) and len(files) <= MAX_FILES
    fork = ask(connection, address, request, files) if can_fork else 0
    if not fork:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        os.execv(interpreter, [interpreter, *arguments])  # noqa: S606 - no shell is wanted
    status = follow(connection, fork, files)
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
