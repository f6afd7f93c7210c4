"""Networks for tests of the engine: some work, others fail in various ways."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """A small network for images of any size: 1000 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size=3, stride=8)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 1000)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.act()
        x = self.bn(self.conv(x)).relu().mean(dim=(2, 3))
        logits: Tensor = self.fc(x)
        return logits

    def act(self) -> None:
        """Hook for subclasses, called at each forward pass."""


CALLS_OF_PREPARING = 5  # one for calibration; on each of two batches, the reference and the check
CALLS_OF_WARMING_UP = 58  # upper limit of the calls before the first visit, including preparing


def works() -> nn.Module:
    return Net()


def raises_when_built() -> nn.Module:
    raise RuntimeError("no such weights")


def needs_a_petabyte_to_be_built() -> nn.Module:
    torch.empty(1 << 50)
    return Net()


def needs_an_argument(classes: int) -> nn.Module:
    return nn.Linear(3, classes)


def asserts() -> nn.Module:
    raise AssertionError


def looks_up() -> nn.Module:
    known: dict[str, nn.Module] = {}
    return known["weights"]


class _RaisesWhenCalled(Net):
    def act(self) -> None:
        raise IndexError("no such layer")


def raises_when_called() -> nn.Module:
    return _RaisesWhenCalled()


class _Prints(Net):
    def act(self) -> None:
        print('{"ok": "not the worker"}')


def prints() -> nn.Module:
    return _Prints()


class _RaisesLater(Net):
    def act(self) -> None:
        if self.calls > CALLS_OF_PREPARING:
            print("about to raise")
            raise ValueError("broke\nsecond line")


def raises_when_warmed_up() -> nn.Module:
    return _RaisesLater()


class _Killed(Net):
    def act(self) -> None:
        if self.calls > CALLS_OF_WARMING_UP:
            os.kill(os.getpid(), signal.SIGKILL)


def is_killed() -> nn.Module:
    return _Killed()


class _DiesUnderAProfiler(Net):
    def act(self) -> None:
        if torch.autograd.profiler._is_profiler_enabled:
            os.kill(os.getpid(), signal.SIGKILL)


def dies_under_a_profiler() -> nn.Module:
    return _DiesUnderAProfiler()


class _Recompiles(Net):
    """Makes Dynamo count two more graphs after warming up."""

    def act(self) -> None:
        if self.calls == CALLS_OF_WARMING_UP + 1:
            from torch._dynamo.utils import counters

            counters["stats"]["unique_graphs"] += 2


def recompiles() -> nn.Module:
    return _Recompiles()


class _Hangs(Net):
    def act(self) -> None:
        if self.calls > CALLS_OF_WARMING_UP:
            time.sleep(3600)


def hangs() -> nn.Module:
    return _Hangs()


def hangs_when_built() -> nn.Module:
    time.sleep(3600)
    return Net()


class _HangsLater(Net):
    def act(self) -> None:
        if self.calls > CALLS_OF_PREPARING:
            time.sleep(3600)


def hangs_when_warmed_up() -> nn.Module:
    return _HangsLater()


class _Drifts(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.calls * 10


def answers_wrongly() -> nn.Module:
    return _Drifts()


class _AnswersWronglyLater(Net):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return -logits if self.calls > CALLS_OF_WARMING_UP else logits


def answers_wrongly_later() -> nn.Module:
    return _AnswersWronglyLater()


class _Diverges(Net):
    """Has infinite weights after warming up."""

    def act(self) -> None:
        if self.calls > CALLS_OF_WARMING_UP:
            self.fc.weight.data.fill_(torch.inf)


def diverges() -> nn.Module:
    return _Diverges()


class _Greedy(Net):
    def act(self) -> None:
        torch.empty(1 << 50)


def needs_a_petabyte() -> nn.Module:
    return _Greedy()


MIB_AN_IMAGE = 8


class _TakesMuchAnImage(Net):
    def forward(self, x: Tensor) -> Tensor:
        torch.ones(x.shape[0], MIB_AN_IMAGE, 2**20, dtype=torch.uint8)
        return super().forward(x)


def takes_much_an_image() -> nn.Module:
    return _TakesMuchAnImage()


class _TakesGibibytes(Net):
    def forward(self, x: Tensor) -> Tensor:
        torch.ones(x.shape[0], 2**30, dtype=torch.uint8, device=x.device)
        return super().forward(x)


def takes_gibibytes_on_its_device() -> nn.Module:
    return _TakesGibibytes()


class _NeedsMuch(Net):
    """Raises ``MemoryError`` if another process with this network has the same parent."""

    def __init__(self) -> None:
        super().__init__()
        parent = psutil.Process().parent()
        assert parent is not None
        libc = ctypes.CDLL(None)
        libc.prctl(15, MUCH, 0, 0, 0)  # PR_SET_NAME
        names = [child.name() for child in parent.children() if child.pid != os.getpid()]
        if MUCH.decode() in names:
            raise MemoryError("not enough for two")


MUCH = b"needs-much"


def needs_much() -> nn.Module:
    return _NeedsMuch()


def needs_much_too() -> nn.Module:
    return _NeedsMuch()


class _RunsOutOnce(Net):
    """Raises ``MemoryError`` when it is first warmed up; the file ``marker`` says that it was."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = Path(marker)

    def act(self) -> None:
        if self.calls > CALLS_OF_PREPARING and not self.marker.exists():
            self.marker.touch()
            raise MemoryError("not enough at first")


def runs_out_once(marker: str) -> nn.Module:
    return _RunsOutOnce(marker)


class _AsksItsInput(Net):
    def act(self) -> None:
        read = subprocess.run(["/bin/cat"], capture_output=True, check=True, timeout=10).stdout
        print(f"read {len(read)} bytes")


def starts_what_reads_its_input() -> nn.Module:
    return _AsksItsInput()


class _Slow(Net):
    def act(self) -> None:
        time.sleep(0.05)


def slow() -> nn.Module:
    return _Slow()


class _Limps(Net):
    def act(self) -> None:
        time.sleep(0.02 if self.calls % 2 else 0.04)


def limps() -> nn.Module:
    """Return a network whose every second call takes twice as long."""
    return _Limps()


class _Dropout(Net):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(super().forward(x))
        return dropped


def drops_out() -> nn.Module:
    return _Dropout()
