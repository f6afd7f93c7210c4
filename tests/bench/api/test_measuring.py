import errno
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bench.api import measuring
from bench.api.measure_request import MeasureRequest
from bench.api.report_folder import ReportFolder
from bench.errors import RequestError
from bench.launch.launchers import Launcher
from bench.machine import nvml, run_cards
from bench.machine.environment import Environment
from bench.records import events, journal
from bench.records.code import Code
from bench.records.record import SCHEMA_VERSION
from tests.bench.engine.running import Watcher, cell, plan
from tests.bench.fake_nvml import FakeNvml


class Driver:
    """A fake CUDA driver whose second device is the second card of ``FakeNvml``."""

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's own name
        return 0

    def cuDeviceGet(self, pointer: Any, index: int) -> int:  # noqa: N802 - the driver's own name
        pointer._obj.value = index
        return 0

    def cuDeviceGetUuid_v2(self, pointer: Any, device: Any) -> int:  # noqa: N802 - its own name
        pointer._obj[:] = bytes([0x11 * (device.value + 1)]) * 16
        return 0

    def cuDeviceGetPCIBusId(self, text: Any, _size: int, _device: Any) -> int:  # noqa: N802 - same
        text.value = b"somewhere"
        return 0


def test_a_card_that_other_processes_use_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: Driver())
    monkeypatch.setitem(sys.modules, nvml.MODULE, cast("Any", FakeNvml()))
    monkeypatch.setattr(run_cards, "SETTLE_S", 0.0)
    launcher = cast("Launcher", None)  # no worker is started
    requested = plan(replace(cell("works"), device="cuda:1"))
    message = r"cuda:1 is used by others: process 4242 \(python3\) with 2,344 MiB"
    with pytest.raises(RequestError, match=message):
        measuring.measure_here(MeasureRequest(), requested, Watcher(), None, launcher)


@pytest.mark.parametrize("locks", [True, False])
def test_a_file_system_without_locks_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    def unlocked(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if not locks:
        monkeypatch.setattr("fcntl.flock", unlocked)
    folder = ReportFolder(chosen=tmp_path, root=tmp_path)
    progress = Watcher()
    about = Environment(device="cpu", device_name="any", physical_cores=1)
    with measuring.open_journal(MeasureRequest(), about, progress, folder):
        expected = [] if locks else [True]
        assert [str(tmp_path) in note for note in progress.notes] == expected


def test_a_run_cannot_be_resumed_with_other_code(tmp_path: Path) -> None:
    requested = plan(cell("works"))
    began = events.Began(
        schema_version=SCHEMA_VERSION,
        plan=requested,
        environment=Environment(),
        code=Code(commit="1" * 40, digest="another"),
    )
    with journal.Journal(tmp_path / journal.FILE, on_error=lambda _: None) as journal_file:
        journal_file.append(began)
    request = MeasureRequest(resume=True)
    folder = ReportFolder(chosen=tmp_path, root=tmp_path)
    launcher = cast("Launcher", None)  # no worker is started
    with pytest.raises(RequestError, match="began with that of commit 111111111111"):
        measuring.measure_here(request, requested, Watcher(), folder, launcher)
    assert list(journal.read(tmp_path / journal.FILE)) == [began]


@pytest.mark.parametrize(
    ("announcement", "expected"),
    [(None, "20 cells of 1 network: 2 sets take"), ("step 2: 20 cells", "step 2: 20 cells")],
)
def test_a_run_is_announced_once(
    monkeypatch: pytest.MonkeyPatch, announcement: str | None, expected: str
) -> None:
    monkeypatch.setattr(measuring, "start_launcher", lambda _plan: nullcontext())
    monkeypatch.setattr(measuring, "measure_here", lambda *_arguments, **_named: None)
    of = [replace(cell("works"), batch_size=size) for size in range(1, 21)]
    watcher, requested = Watcher(), replace(plan(*of), sets=2)
    measuring.measure(MeasureRequest(), requested, watcher, None, announcement=announcement)
    assert [note[: len(expected)] for note in watcher.notes] == [expected]
