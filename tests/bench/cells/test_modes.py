import pytest
import torch
from torch import nn

from bench.cells import modes
from bench.cells.captured import Captured
from bench.cells.modes import Kind
from bench.names import RequestError


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("eager", "eager"),
        ("compile", "compile"),
        ("channels_last", "channels_last"),
        ("compile+channels_last", "compile+channels_last"),
        ("channels_last+compile", "compile+channels_last"),
        ("eager+channels_last", "channels_last"),
        ("channels_last+eager", "channels_last"),
        (" channels_last + compile ", "compile+channels_last"),
    ],
)
def test_canonical_is_the_same_for_every_spelling(typed: str, canonical: str) -> None:
    assert modes.canonical(typed) == canonical
    assert modes.canonical(canonical) == canonical


@pytest.mark.parametrize("typed", ["compile+channels_last", "channels_last+compile"])
def test_tokens_apply_in_a_fixed_order(typed: str) -> None:
    assert [token.name for token in modes.parse(typed)] == ["channels_last", "compile"]


def test_kinds_apply_rewrites_first_and_executors_last() -> None:
    assert sorted(Kind) == [Kind.REWRITE, Kind.MEMORY_FORMAT, Kind.EXECUTOR]


@pytest.mark.parametrize("name", modes.TOKENS)
def test_tokens_are_keyed_by_name(name: str) -> None:
    assert modes.TOKENS[name].name == name
    assert modes.TOKENS[name].what


def test_unknown_token_error_lists_the_nearest_and_all_tokens() -> None:
    with pytest.raises(RequestError) as raised:
        modes.parse("compile+channel_last")
    assert str(raised.value) == (
        "no mode token is called 'channel_last'; did you mean 'channels_last'? "
        f"known: {', '.join(modes.TOKENS)}"
    )


@pytest.mark.parametrize("mode", ["", "+", "eager+", "+compile"])
def test_empty_token_raises_request_error(mode: str) -> None:
    with pytest.raises(RequestError, match="no mode token is called ''; known: "):
        modes.canonical(mode)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("eager+compile", r"'eager\+compile' has 2 executors \(eager, compile\)"),
        ("compile+compile", r"has 2 executors \(compile, compile\)"),
        ("compile+channels_last+eager", r"has 2 executors \(compile, eager\)"),
        (
            "channels_last+channels_last",
            r"has 2 memory formats \(channels_last, channels_last\); at most one is allowed",
        ),
    ],
)
def test_two_tokens_of_one_kind_raise_request_error(mode: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        modes.parse(mode)


@pytest.mark.parametrize(
    ("mode", "is_channels_last", "is_compiled", "is_tuned", "is_replayed"),
    [
        ("eager", False, False, False, False),
        ("compile", False, True, False, False),
        ("channels_last", True, False, False, False),
        ("channels_last+compile", True, True, False, False),
        ("reduce-overhead", False, True, False, True),
        ("max-autotune", False, True, True, True),
        ("channels_last+max-autotune", True, True, True, True),
        ("cudagraphs", False, False, False, True),
        ("cudagraphs+channels_last", True, False, False, True),
    ],
)
def test_properties_of_modes(
    mode: str, is_channels_last: bool, is_compiled: bool, is_tuned: bool, is_replayed: bool
) -> None:
    assert modes.is_channels_last(mode) is is_channels_last
    assert modes.is_compiled(mode) is is_compiled
    assert modes.is_tuned(mode) is is_tuned
    assert modes.is_replayed(mode, "cuda:1") is is_replayed
    assert not modes.is_replayed(mode, "cpu")


@pytest.mark.parametrize(
    ("mode", "calls"),
    [
        ("eager", 1),
        ("compile+channels_last", 1),
        ("cudagraphs", 1),
        ("reduce-overhead", 3),
        ("max-autotune+channels_last", 3),
    ],
)
def test_modes_that_inductor_replays_need_three_calls(mode: str, calls: int) -> None:
    assert modes.calls(mode) == calls


@pytest.mark.parametrize("mode", ["eager", "compile+channels_last", "max-autotune"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_check_accepts_modes_that_run_on_every_device(mode: str, device: str) -> None:
    modes.check(mode, device, ["infer", "train"])


@pytest.mark.parametrize("name", ["cudagraphs", "reduce-overhead"])
def test_check_refuses_cuda_graphs_on_a_cpu_and_lists_available_tokens(name: str) -> None:
    with pytest.raises(RequestError) as raised:
        modes.check(f"{name}+channels_last", "cpu", ["infer"])
    assert str(raised.value) == (
        f"mode token {name!r} does not run on cpu; "
        "available there: eager, compile, max-autotune, channels_last"
    )
    modes.check(f"{name}+channels_last", "cuda:1", ["infer"])


def test_check_refuses_training_with_cudagraphs() -> None:
    with pytest.raises(RequestError, match=r"'cudagraphs' supports infer, not train: it captures"):
        modes.check("cudagraphs", "cuda", ["infer", "train"])
    modes.check("reduce-overhead", "cuda", ["infer", "train"])


def convolution() -> nn.Conv2d:
    return nn.Conv2d(in_channels=3, out_channels=4, kernel_size=5)


def test_eager_does_not_change_the_module() -> None:
    model = convolution()
    assert modes.apply("eager", model) is model
    # Contiguous N C H W: the last dimension is dense.
    assert model.weight.stride() == (3 * 5 * 5, 5 * 5, 5, 1)


def test_channels_last_stores_weights_with_dense_channels() -> None:
    model = modes.apply("eager+channels_last", convolution())
    assert isinstance(model, nn.Conv2d)
    assert model.weight.shape == (4, 3, 5, 5)
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)


def test_cudagraphs_wraps_the_channels_last_module_without_capturing_it() -> None:
    model = convolution()
    captured = modes.apply("cudagraphs+channels_last", model)
    assert isinstance(captured, Captured)
    assert captured.model is model
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)


def test_compile_wraps_the_channels_last_module_without_compiling_it() -> None:
    model = convolution()
    compiled = modes.apply("compile+channels_last", model)
    assert isinstance(compiled, torch._dynamo.OptimizedModule)
    assert compiled._orig_mod is model
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)
