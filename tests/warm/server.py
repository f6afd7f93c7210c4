"""The server: a process that has imported the libraries, and forks itself for each command.

It serves a Unix socket until its standard input ends. A client that ends before its fork takes the
fork with it.
"""

import array
import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import importlib.machinery
import io
import json
import logging
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, NoReturn, cast

import cpuinfo

from tests.warm import client

LIBRARIES = (
    "torchvision",
    "fvcore.nn",
    "torch.utils.flop_counter",
    "pandas",
    "scipy.stats",
    "pytest",
    "rich.console",
    "rich.table",
    "rich.progress",
    "jinja2",
    "msgspec",
    "psutil",
    "altair",
)

# This project's code that commands and workers import. A fork keeps it if its own path leads to the
# same files (``_forget_other_code``). bench.suite is missing, because pytest rewrites it.
OWN = (
    "bench.cli",
    "bench.export.fresh",
    "bench.gate.files",
    "bench.report.files",
    "bench.stages.worker",
    "bench.worker.worker",
)
PACKAGES = ("bench", "googlenet")

Request = Mapping[str, Any]


def serve(listening: socket.socket) -> tuple[Request, list[int]]:
    """Answer clients until standard input ends; returns in each fork, with what it is to run."""
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    clients: dict[int, socket.socket] = {}  # by the process id of the fork
    selector = selectors.DefaultSelector()
    for source in (sys.stdin, listening, woken):
        selector.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                received = _receive(connection)
                if received is None:
                    connection.close()
                    continue
                request, files = received
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    selector.close()
                    for own in (listening, woken, wakes, connection, *clients.values()):
                        own.close()
                    return request, files
                for file in files:
                    os.close(file)
                clients[pid] = connection
                selector.register(connection, selectors.EVENT_READ, pid)
                _send(connection, pid)
            elif key.fileobj is woken:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(4096)
                _reap(clients, selector)
            elif key.fileobj is sys.stdin:
                for pid in clients:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            elif key.data in clients:  # its client has ended
                os.kill(key.data, signal.SIGKILL)
                selector.unregister(key.fileobj)


def _reap(clients: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Tell the clients of forks that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        connection = clients.pop(pid, None)
        if connection is not None:
            with contextlib.suppress(KeyError):
                selector.unregister(connection)
            _send(connection, os.waitstatus_to_exitcode(status))
            connection.close()


def _send(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(number.to_bytes(client.NUMBER_BYTES, "big", signed=True))


def _receive(connection: socket.socket) -> tuple[Request, list[int]] | None:
    """Return a client's request and files; None if a fork would not run it alike."""
    size, ancillary, _, _ = connection.recvmsg(
        client.NUMBER_BYTES, socket.CMSG_SPACE(4 * client.MAX_FILES)
    )
    files = array.array("i")
    for _, _, data in ancillary:
        files.frombytes(data[: len(data) - len(data) % files.itemsize])
    left, parts = int.from_bytes(size, "big"), []
    while left:
        part = connection.recv(left)
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    request: Request = json.loads(b"".join(parts)) if parts else {}
    differs = client.early(request["environment"]) != client.early(dict(os.environ))
    if differs or _shadows(request):
        for file in files:
            os.close(file)
        return None
    return request, list(files)


def _shadows(request: Request) -> bool:
    """Whether the command's own modules have names that a new interpreter would import first."""
    imported = {library.partition(".")[0] for library in LIBRARIES}
    imported |= {"torch", "sitecustomize", "usercustomize"}
    path = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    script = Path(request["folder"], client.without_safe_path(request["arguments"])[0])
    folders = {script.parent, *(Path(request["folder"], folder) for folder in path)}
    own = {file.stem for folder in folders if folder.is_dir() for file in folder.iterdir()}
    return bool(own & imported)


def become(request: Request, files: list[int]) -> None:
    """Give this fork the files, variables, folder and path of a new interpreter."""
    os.setpgid(0, 0)  # its client passes on the signals that it gets
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    if not client.is_of_xdist(request["arguments"]):  # those processes set it for each file
        sys.executable = request["program"]
    _take(files, request["files"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    os.sched_setaffinity(0, request["cpus"])
    random.seed()
    _open_standard_streams(request["environment"])
    flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if name[0] != "_"}
    is_safe = request["arguments"][0] == "-P" or request["environment"].get("PYTHONSAFEPATH")
    flags["safe_path"] = bool(is_safe)
    sys.flags = SimpleNamespace(**flags)  # type: ignore[assignment]
    path = request["environment"].get("PYTHONPATH", "")
    sys.path[:0] = [folder or request["folder"] for folder in path.split(os.pathsep) if path]
    importlib.invalidate_caches()


def _take(files: list[int], numbers: list[int]) -> None:
    """Give open files these numbers, and close all others."""
    opened = [int(file.name) for file in Path("/proc/self/fd").iterdir()]
    free = max(*opened, *numbers) + 1
    kept = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, free) for file in files]
    os.closerange(0, free)
    for file, number in zip(kept, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)


def _open_standard_streams(environment: Mapping[str, str]) -> None:
    encoding, _, errors = environment.get("PYTHONIOENCODING", "").partition(":")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
        is_direct = number > 0 and bool(environment.get("PYTHONUNBUFFERED"))
        buffered = io.BufferedWriter if number else io.BufferedReader
        stream = io.TextIOWrapper(
            cast(IO[bytes], raw if is_direct else buffered(raw)),
            encoding=encoding or "utf-8",
            errors="backslashreplace" if name == "stderr" else errors or "strict",
            line_buffering=name == "stderr" or raw.isatty(),
            write_through=is_direct,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(arguments: list[str], folder: str) -> NoReturn:
    """Run what an interpreter would run, and exit as it would."""
    status = 1
    try:
        _run(client.without_safe_path(arguments), folder)
        status = 0
    except SystemExit as end:
        is_status = end.code is None or isinstance(end.code, int)
        status = cast(int, end.code or 0) if is_status else 1
        if not is_status:
            print(end.code, file=sys.stderr)
    except BaseException as error:  # noqa: BLE001 - the process ends here
        sys.excepthook(*sys.exc_info())
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    # Without the end of the interpreter, which would copy and free all that the server imported.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _run(arguments: Sequence[str], folder: str) -> None:
    option, *rest = arguments[client.is_of_xdist(arguments) :]
    if not sys.flags.safe_path:
        sys.path.insert(0, folder if option in {"-m", "-c"} else str(Path(folder, option).parent))
    if option == "-m":
        sys.argv[:] = rest
        _forget_other_code()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        _forget_other_code()
        exec(rest[0], {"__name__": "__main__"})  # noqa: S102 - as the interpreter does
    else:
        sys.argv[:] = arguments
        _forget_other_code(
            Path(option).resolve().parents[2] if option.endswith(client.RUN_MODULE) else None
        )
        runpy.run_path(option, run_name="__main__")


def _forget_other_code(folder: Path | None = None) -> None:
    """Remove this project's imported packages if the path leads to others of their names.

    ``folder``: the only one in which they are looked up.
    """
    path = None if folder is None else [str(folder)]
    for package in PACKAGES:
        found = importlib.machinery.PathFinder.find_spec(package, path)
        if found is None or found.origin != sys.modules[package].__file__:
            for each in PACKAGES:
                _forget(each)
            return


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _report() -> None:
    """Do what only the first report of a process does, except drawing, which starts threads."""
    from bench.registry import Registry
    from bench.report import charts, sections
    from bench.report.formats import FORMATS
    from bench.report.section import Source
    from tests.bench import runs

    run = runs.small()
    charts.build(run)
    document = sections.document(Source(run=run, charts=(), inside=None))
    for each in FORMATS.values():
        each.render(document)
    for known in gc.get_objects():  # a fork may have plugins
        if isinstance(known, Registry):
            vars(known).pop("_entries", None)


def _use_huge_pages() -> None:
    """Collapse the heap into huge pages, so that a fork copies and frees few entries of its table.

    Takes a second or two. Linux before 6.1 refuses, and forks as usual.
    """
    collapse, size = 25, 2 << 20  # MADV_COLLAPSE; the mmap module does not have it
    madvise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        if permissions.startswith("rw") and name in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in addresses.split("-"))
            start, end = -(-start // size) * size, end // size * size
            if start < end:
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), collapse)


def main(address: str, preload: str, root: str) -> None:
    """Import the libraries and this project's code in ``root``, and serve the socket ``address``.

    ``preload``: a file that is run after the imports of libraries.
    """
    logging.disable(logging.WARNING)  # PyTorch's, that a machine has no CUDA
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(library)
        runpy.run_path(preload)
        sys.path.insert(0, root)
        for module in OWN:
            importlib.import_module(module)
        _report()
        del sys.path[0]
    cpuinfo.get_cpu_info = functools.cache(cpuinfo.get_cpu_info)
    cpuinfo.get_cpu_info()  # takes 0.25 s and starts processes
    logging.disable(logging.NOTSET)
    _forget("tests")
    for module in client.STARTED:  # runpy warns of a module that was imported before it runs
        sys.modules.pop(module, None)
    gc.collect()
    gc.freeze()  # forks share these pages while their collector does not visit them
    _use_huge_pages()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.begins")
    listening.listen(64)
    Path(f"{address}.begins").rename(address)
    request, files = serve(listening)
    become(request, files)
    run(request["arguments"], request["folder"])
