"""Checks of a cell's answers against those of fp32 eager, before and after its rounds."""

import hashlib
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.archs.source import Inputs
from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Batch, Draw
from bench.cells.tasks import Answer, Task
from bench.errors import RequestError
from bench.worker import assembly, correctness, network
from bench.worker.correctness import Errors, WrongAnswerError


class Expected(NamedTuple):
    """Inputs on the CPU, and the answer of fp32 eager to them."""

    inputs: Inputs
    answer: Answer


class Checks:
    """Checks that a cell's task answers like fp32 eager, with the network's initial weights."""

    def __init__(self, cell: Cell, model: nn.Module) -> None:
        self._cell = cell
        self.dtype = DTYPES[cell.dtype].allowing(modes.parse(cell.mode).error_budget)
        """The cell's dtype, with the bounds that its rewrites allow."""
        # Only of a network that is trained: a rewrite may have copied another, which is then freed.
        self._trained = (model, network.state(model)) if cell.task == "train" else None
        self._expected: list[Expected] = []
        """Expected answers, in the order of the checks; the last is for the timed inputs."""
        self._digest = b""
        """Digest of the timed inputs; a copy of them would take memory during the rounds."""

    def compute_expected(
        self, model: nn.Module, example: Inputs, targets: Tensor, draw: Draw
    ) -> None:
        """Compute fp32 eager's answer to a batch on the device.

        For inference, also compute its answer to a second batch that ``draw`` returns. Raises
        ``RequestError`` if the network writes into its inputs or ``draw`` returns the same twice,
        and ``WrongAnswerError`` if its answers to different inputs are the same.
        """
        before = tuple(tensor.to("cpu", copy=True) for tensor in example)
        eager = replace(self._cell, mode="eager", dtype="fp32")
        task = assembly.assemble(eager, model, example, targets)
        self._expected = [Expected(before, self._answer(task))]
        self._refuse_writing(example, before)
        if self._cell.task == "infer":
            # In a separate tensor: a network may cache its output by the identity of its input.
            others = self._others(draw, before)
            moved = inputs.to(others, example[0].device)
            answer = self._answer(task, Batch(moved, targets))
            self._expected.insert(0, Expected(others, answer))
            correctness.check_different(answer, self._expected[-1].answer)

    def first_call(self, task: Task) -> Answer:
        """Run a task for the first time and return its answer.

        For inference, the task's tensors then contain the second batch. Raises ``RequestError`` if
        the network writes into its inputs.
        """
        example = self._expected[0].inputs
        inputs.copy_into(task.batch.inputs, example)
        answer = self._answer(task)
        self._refuse_writing(task.batch.inputs, example)
        return answer

    def before_rounds(self, task: Task, answer: Answer) -> Errors:
        """Check the answer of ``first_call``, and that of the last call before the task is timed.

        Afterwards the task's tensors contain the timed inputs. Raises ``WrongAnswerError`` for a
        wrong answer, and ``RequestError`` if the network writes into its inputs.
        """
        *others, timed = self._expected
        later_calls = max(modes.parse(self._cell.mode).executor.calls - 1, len(others))
        for _ in range(later_calls - 1):
            answer = self._answer(task)
        for other in others:
            self._check(answer, other.answer, stale=timed.answer)
            inputs.copy_into(task.batch.inputs, timed.inputs)
        if later_calls:
            answer = self._answer(task)
        self._refuse_writing(task.batch.inputs, timed.inputs)
        errors = self._check(answer, timed.answer, stale=others[0].answer if others else None)
        self._digest = _digest(task.batch.inputs)
        # Without the inputs, which would take memory during the rounds.
        self._expected = [timed._replace(inputs=())]
        return errors

    def after_rounds(self, task: Task) -> str | None:
        """Return why the answer to the timed inputs is wrong after the rounds; None if it is right.

        After training, the answer with the final weights must be finite wherever it was finite
        before, and the answer with the initial weights must be the same as before.
        """
        try:
            self._check_after_rounds(task)
        except WrongAnswerError as error:
            return str(error)
        return None

    def _check_after_rounds(self, task: Task) -> None:
        if _digest(task.batch.inputs) != self._digest:
            raise WrongAnswerError(self._writing_message())
        expected = self._expected[-1].answer
        if self._trained is not None:
            with task.context():
                correctness.check_finite(task.answer(), expected)
        self._check(self._answer(task), expected)

    def _answer(self, task: Task, batch: Batch | None = None) -> Answer:
        """Return a task's answer with the initial weights."""
        if self._trained is not None:
            network.restore(*self._trained)
        with task.context():
            return task.answer(batch)

    def _check(self, answer: Answer, expected: Answer, stale: Answer | None = None) -> Errors:
        """Return the errors of an answer; ``stale`` answers what the tensors held before."""
        cell = self._cell
        is_reference = (cell.mode, cell.dtype) == ("eager", "fp32")
        try:
            return correctness.check(answer, expected, self.dtype, is_reference=is_reference)
        except WrongAnswerError:
            if stale is not None and correctness.are_close(answer, stale, self.dtype):
                raise WrongAnswerError(
                    "the output belongs to the values that were in the same tensors before: the "
                    "network caches outputs by the identity of their input; make it compute every "
                    "output"
                ) from None
            raise

    def _others(self, draw: Draw, before: Inputs) -> Inputs:
        """Return a second batch; raise ``RequestError`` if it is the same as the first."""
        others = draw(len(before[0]))
        if _shapes(others) != _shapes(before):
            raise RequestError(
                f"the example inputs of {self._cell.arch} change their shape from one call to the "
                "next; every iteration must do the same work"
            )
        if all(map(torch.equal, others, before)):
            raise RequestError(
                f"the example inputs of {self._cell.arch} are the same at every call, so that a "
                "cached output could not be noticed: draw them, for example with torch.randn"
            )
        return others

    def _refuse_writing(self, example: Inputs, original: Inputs) -> None:
        """Raise ``RequestError`` if inputs differ from the original ones."""
        for tensor, before in zip(example, original, strict=True):
            if not torch.equal(tensor.cpu(), before.to(tensor.dtype)):
                raise RequestError(self._writing_message())

    def _writing_message(self) -> str:
        return (
            f"{self._cell.arch} writes into its input, so each iteration would get different "
            "values: work on a copy, for example with x = x - mean in place of x.sub_(mean)"
        )


def _shapes(example: Inputs) -> list[tuple[torch.Size, torch.dtype]]:
    return [(tensor.shape, tensor.dtype) for tensor in example]


def _digest(example: Inputs) -> bytes:
    """Return a digest of the values of inputs that does not depend on their memory format."""
    digest = hashlib.blake2b()
    for tensor in example:
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(values.numpy().data)
    return digest.digest()
