import pytest
import torch
from torch import nn

from bench.cells.cell import Cell
from bench.cells.tasks import Inference, Training
from bench.worker import attempt

CLASSES = 10


def test_training_draws_targets_among_the_classes_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target outside the network's classes would raise an IndexError."""
    largest_targets: list[int] = []
    step = Training.step

    def recorded_step(task: Training) -> object:
        largest_targets.append(int(task.batch.targets.max()))
        return step(task)

    monkeypatch.setattr(Training, "step", recorded_step)
    cell = Cell(
        arch="tests.bench.tiny:of_ten_classes",
        mode="eager",
        dtype="fp32",
        batch_size=64,
        task="train",
        device="cpu",
    )
    attempt.iterate(cell, image_size=16, seed=0)
    assert len(largest_targets) == attempt.ITERATIONS
    assert 0 < max(largest_targets) < CLASSES


def test_an_attempt_on_a_device_ends_when_its_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory may be reported only by the wait."""
    log: list[str] = []
    step, example, cpu = Inference.step, attempt._example, torch.device("cpu")

    def logged_step(task: Inference) -> object:
        log.append("step")
        return step(task)

    monkeypatch.setattr(Inference, "step", logged_step)
    monkeypatch.setattr(attempt, "_example", lambda draw, n, _, dtype: example(draw, n, cpu, dtype))
    monkeypatch.setattr(nn.Module, "to", lambda model, _: model)  # no network leaves the CPU
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append(f"wait for {device}"))
    cell = Cell(
        arch="tests.bench.tiny:net",
        mode="eager",
        dtype="fp32",
        batch_size=2,
        task="infer",
        device="cuda:1",
    )
    attempt.iterate(cell, image_size=16, seed=0)
    assert log == ["step"] * 3 + ["wait for cuda:1"]
