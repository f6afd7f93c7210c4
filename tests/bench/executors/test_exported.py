import pytest
import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.executors.exported import export
from bench.executors.request import ExecutorRequest
from tests.bench import tiny


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x - 1


def request() -> ExecutorRequest:
    return ExecutorRequest(
        example=(torch.ones(2, 3, 8, 8),),
        dtype=torch.float32,
        device=torch.device("cpu"),
        threads=1,
    )


def test_a_network_is_exported_for_its_example_inputs() -> None:
    model = tiny.net().eval()
    exported = export(model, request(), "aot").module()
    assert torch.equal(exported(*request().example), model(*request().example))


def test_a_network_that_cannot_be_exported_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError) as raised:
        export(Branching(), request(), "aot")
    message = str(raised.value)
    assert message.startswith("aot needs torch.export, which cannot capture this network (")
    assert "GuardOnDataDependentSymNode" in message
    assert message.endswith("): choose compile or eager")
    assert "\n" not in message
