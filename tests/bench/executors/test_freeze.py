import pytest
import torch
from torch import nn

from bench.executors import EXECUTORS
from tests.bench import tiny
from tests.bench.executors.test_compile import (
    CPP_WRAPPER,
    answers_like_eager,
    may_warn,
    one_cell,
    program,
)

__all__ = ["one_cell"]  # a fixture that every test here uses


@may_warn
@pytest.mark.parametrize("options", [frozenset[str](), CPP_WRAPPER], ids=["python", "cpp"])
def test_weights_are_packed_once(options: frozenset[str]) -> None:
    from torch._dynamo.utils import counters
    from torch._inductor.utils import run_and_get_code

    model = tiny.net().eval()
    frozen = program("freeze", model, options)
    right, (code,) = run_and_get_code(answers_like_eager, frozen, model)
    assert right
    settings = frozen.settings()
    assert settings["freezing"] == "on"
    assert settings["packed convolutions"] == "1"
    assert settings["threads"] == str(torch.get_num_threads())
    assert settings.get("cpp_wrapper") == ("on" if options else None)
    # A packed convolution, with its ReLU, and no batch norm.
    assert "_convolution_pointwise" in code
    assert "rsqrt" not in code
    assert counters["inductor"]["binary_folding_conv"] > 0
    assert frozen.was_cached() is None  # no cache keeps packed weights


@may_warn
def test_a_graph_that_inductor_can_keep_comes_from_its_cache() -> None:
    """Without packed weights, as on CUDA."""
    from torch._dynamo.utils import counters

    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.ReLU()).eval()
    for is_cached in (False, True):
        torch._dynamo.reset()
        counters.clear()
        frozen = program("freeze", model)
        assert answers_like_eager(frozen, model)
        # The first process may find the graph of an earlier run of the tests.
        assert frozen.was_cached() in ({True} if is_cached else {True, False})


def test_without_the_global_setting_nothing_is_frozen() -> None:
    """So other executors in the same process are not, once it is back."""
    assert not torch._inductor.config.freezing
    assert program("compile", tiny.net().eval()).settings() == {}
    assert EXECUTORS["freeze"].tasks == {"infer"}
