import pytest

from bench.cells.cell import Cell
from bench.cells.tasks import Training
from bench.worker import attempt

CLASSES = 10


def test_a_network_of_few_classes_is_tried_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is no class of the network's would be an IndexError."""
    largest: list[int] = []
    step = Training.step

    def seen(task: Training) -> object:
        largest.append(int(task.batch.targets.max()))
        return step(task)

    monkeypatch.setattr(Training, "step", seen)
    cell = Cell(
        arch="tests.bench.tiny:of_ten_classes",
        mode="eager",
        dtype="fp32",
        batch_size=64,
        task="train",
        device="cpu",
    )
    attempt.iterate(cell, image_size=16, seed=0)
    assert len(largest) == attempt.ITERATIONS
    assert 0 < max(largest) < CLASSES
