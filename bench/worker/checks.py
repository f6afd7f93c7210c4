"""Checks of a cell's answers against fp32 eager's: before its rounds, and after them."""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Batch
from bench.cells.tasks import TASKS, Answer, Task
from bench.names import RequestError
from bench.worker import answers, network
from bench.worker.answers import Errors, WrongAnswerError


class Expected(NamedTuple):
    """Images on the CPU, and what fp32 eager answers."""

    images: Tensor
    answer: Answer


class Checks:
    """Checks that a cell's task answers as fp32 eager does, at the network's first weights."""

    def __init__(self, cell: Cell, model: nn.Module) -> None:
        self._cell = cell
        self._model = model
        self._state = network.state(model) if cell.task == "train" else None
        self._asked: list[Expected] = []
        """In the order in which the task is asked; those that are timed are the last."""
        self._digest = b""
        """Digest of the images that are timed; a copy would take memory during the rounds."""

    def ask_eager(self, images: Tensor, targets: Tensor) -> None:
        """Ask fp32 eager for its answer on images N × 3 × H × W, and for inference on others too.

        Raises ``RequestError`` where the network writes into its images, and ``WrongAnswerError``
        where its answers to different images are the same.
        """
        DTYPES["fp32"].pin_precision()
        before = images.to("cpu", copy=True)
        task = TASKS[self._cell.task](self._model, images, targets, DTYPES["fp32"])
        self._asked = [Expected(before, self._answer(task))]
        self._refuse_writing(images, before)
        if self._cell.task == "infer":
            # In a tensor of their own: a network may keep its output by the identity of its input.
            others = inputs.random_images(len(images), images.shape[-1])
            answer = self._answer(task, Batch(others.to(images.device), targets))
            self._asked.insert(0, Expected(others, answer))
            answers.check_different(answer, self._asked[-1].answer)

    def first_call(self, task: Task) -> Answer:
        """Run a task for the first time, for inference with the other images in its tensor.

        Raises ``RequestError`` where the network writes into its images.
        """
        images = self._asked[0].images
        task.batch.images.copy_(images)
        found = self._answer(task)
        self._refuse_writing(task.batch.images, images)
        return found

    def before_rounds(self, task: Task, found: Answer) -> Errors:
        """Check what ``first_call`` found, and the answer of the last call before it is timed.

        The task has its own images again afterwards. Raises ``WrongAnswerError``, and
        ``RequestError`` where the network writes into its images.
        """
        *others, timed = self._asked
        later_calls = max(modes.calls(self._cell.mode) - 1, len(others))
        for _ in range(later_calls - 1):
            found = self._answer(task)
        for other in others:
            self._check(found, other.answer, stale=timed.answer)
            task.batch.images.copy_(timed.images)
        if later_calls:
            found = self._answer(task)
        self._refuse_writing(task.batch.images, timed.images)
        errors = self._check(found, timed.answer, stale=others[0].answer if others else None)
        self._digest = _digest(task.batch.images)
        self._asked = [timed._replace(images=torch.empty(0))]  # they take memory in the rounds
        return errors

    def after_rounds(self, task: Task) -> str | None:
        """Why the answer on the images that were timed is wrong by now; None where it is right.

        A network that was trained must be finite where it was, at its last weights, and must answer
        as at first, at its first.
        """
        try:
            self._check_after_rounds(task)
        except WrongAnswerError as error:
            return str(error)
        return None

    def _check_after_rounds(self, task: Task) -> None:
        if _digest(task.batch.images) != self._digest:
            raise WrongAnswerError(self._writes())
        expected = self._asked[-1].answer
        if self._state is not None:
            with task.context():
                answers.check_finite(task.answer(), expected)
        self._check(self._answer(task), expected)

    def _answer(self, task: Task, batch: Batch | None = None) -> Answer:
        """A task's answer, at the first weights."""
        if self._state is not None:
            network.restore(self._model, self._state)
        with task.context():
            return task.answer(batch)

    def _check(self, found: Answer, expected: Answer, stale: Answer | None = None) -> Errors:
        """Errors of an answer; ``stale`` is the one of the images that the tensor had before."""
        cell = self._cell
        is_reference = (cell.mode, cell.dtype) == ("eager", "fp32")
        try:
            return answers.check(found, expected, DTYPES[cell.dtype], is_reference=is_reference)
        except WrongAnswerError:
            if stale is not None and answers.are_close(found, stale, DTYPES[cell.dtype]):
                raise WrongAnswerError(
                    "the output is that of the images that were in the same tensor before: the "
                    "network keeps outputs by their input's identity; have it compute each anew"
                ) from None
            raise

    def _refuse_writing(self, images: Tensor, written: Tensor) -> None:
        """Raise ``RequestError`` where images are no longer those that were written there."""
        if not torch.equal(images.cpu(), written.to(images.dtype)):
            raise RequestError(self._writes())

    def _writes(self) -> str:
        return (
            f"{self._cell.arch} writes into its input, so that each iteration would have other "
            "images: work on a copy, as x = x - mean does where x.sub_(mean) does not"
        )


def _digest(images: Tensor) -> bytes:
    """A digest of a tensor's values, however it lies in memory."""
    values = images.detach().cpu().contiguous().view(torch.uint8)
    return hashlib.blake2b(values.numpy().data).digest()
