"""Executors of torch.compile, compiled for real on a tiny network."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from bench.archs.source import Inputs
from bench.cells import inputs
from bench.executors import EXECUTORS
from bench.executors.executor import Program
from bench.executors.request import ExecutorRequest
from tests.bench import assembled, tiny

CPP_WRAPPER = frozenset({"cpp_wrapper"})
# Autotuning in torch 2.11 warns of storages, and Inductor of a missing CUDA.
may_warn = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def one_cell() -> Iterator[None]:
    """Have neither earlier cells of this process nor later ones: a worker has one."""
    from torch._dynamo.utils import counters
    from torch._inductor import config

    torch._dynamo.reset()
    counters.clear()
    with config.patch(freezing=config.freezing, compile_threads=config.compile_threads):
        yield


def images() -> Inputs:
    torch.manual_seed(0)
    return (inputs.random_images(2, 16),)


def program(
    name: str, module: nn.Module, options: frozenset[str] = frozenset(), **request: bool
) -> Program:
    return EXECUTORS[name].prepare(
        module,
        ExecutorRequest(
            example=images(),
            dtype=torch.float32,
            device=torch.device("cpu"),
            threads=torch.get_num_threads(),
            options=options,
            **request,
        ),
    )


def answers_like_eager(prepared: Program, model: nn.Module) -> bool:
    with torch.inference_mode():
        return torch.allclose(prepared.run(images()), model(*images()), rtol=1e-4, atol=1e-5)


def test_settings_of_defaults_are_empty() -> None:
    assert program("compile", tiny.net().eval()).settings() == {}


def test_settings_are_read_back_from_inductor() -> None:
    """Nothing is compiled before the first call."""
    model = tiny.net().eval()
    assert program("compile", model, CPP_WRAPPER).settings() == {"cpp_wrapper": "on"}
    assert program("max-autotune", model, CPP_WRAPPER).settings() == {
        "cpp_wrapper": "on",
        "max_autotune_conv_backends": "ATEN",
    }


def test_threads_that_inductor_was_told_are_shown() -> None:
    with torch._inductor.config.patch({"cpp.threads": 1}):
        assert program("compile", tiny.net().eval()).settings() == {"threads": "1"}


def test_backends_of_convolutions_that_the_user_chose_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_CONV_BACKENDS", "ATEN,TRITON")
    with torch._inductor.config.patch(max_autotune_conv_backends="ATEN,TRITON"):
        settings = program("max-autotune", tiny.net().eval()).settings()
    assert settings == {"max_autotune_conv_backends": "ATEN,TRITON"}


@pytest.mark.parametrize("name", ["reduce-overhead", "max-autotune"])
def test_a_mode_has_all_options_that_pytorch_gives_it(name: str) -> None:
    from torch._inductor import list_mode_options

    prepared = program(name, tiny.net().eval())
    config = prepared.module.get_compiler_config()  # type: ignore[attr-defined]
    expected = list_mode_options(name)
    assert {option: config[option] for option in expected} == expected


@may_warn
@pytest.mark.parametrize("task", ["infer", "train"])
def test_the_cpp_wrapper_is_the_code_that_runs(task: str) -> None:
    from torch._inductor.utils import run_and_get_code

    model, (batch,), targets = tiny.net(), images(), torch.tensor([1, 2])
    made = assembled.task(model, batch, targets, name=task, mode="compile+cpp_wrapper")
    with made.context():
        answer, codes = run_and_get_code(made.answer)
    assert len(codes) == (1 if task == "infer" else 2)
    for code in codes:
        assert "inductor_entry_impl" in code
    eager = assembled.task(model, batch, targets, name=task)
    with eager.context():
        expected = eager.answer()
    for name, output in expected.outputs.items():
        assert torch.allclose(answer.outputs[name], output, rtol=1e-4, atol=1e-5)


def test_a_worker_that_finds_its_code_starts_no_processes() -> None:
    program("compile", tiny.net().eval(), was_compiled=True)
    assert torch._inductor.config.compile_threads == 1
