import pytest

from bench.cells.cell import Cell
from bench.cells.tasks import Training
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
