from bench.cells.cell import Cell
from bench.worker import attempt


def test_a_network_of_few_classes_is_tried_in_training() -> None:
    """A target that is no class of the network's would be an IndexError."""
    cell = Cell(
        arch="tests.bench.tiny:of_ten_classes",
        mode="eager",
        dtype="fp32",
        batch_size=64,
        task="train",
        device="cpu",
    )
    attempt.iterate(cell, image_size=16, seed=0)
