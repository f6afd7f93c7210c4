from dataclasses import replace

import pytest

from bench.cells import modes
from bench.errors import RequestError
from bench.executors import EXECUTORS, OPTIONS
from bench.rewrites import REWRITES


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("eager", "eager"),
        ("compile", "compile"),
        ("channels_last", "channels_last"),
        ("compile+channels_last", "compile+channels_last"),
        ("channels_last+compile", "compile+channels_last"),
        ("eager+channels_last", "channels_last"),
        ("channels_last+cpp_wrapper+freeze", "freeze+cpp_wrapper+channels_last"),
        ("channels_last+eager", "channels_last"),
        (" channels_last + compile ", "compile+channels_last"),
    ],
)
def test_canonical_is_the_same_for_every_spelling(typed: str, canonical: str) -> None:
    assert modes.canonical(typed) == canonical
    assert modes.canonical(canonical) == canonical


@pytest.mark.parametrize(
    "typed", ["compile+cpp_wrapper+channels_last", "channels_last+cpp_wrapper+compile"]
)
def test_tokens_apply_in_a_fixed_order(typed: str) -> None:
    names = [token.name for token in modes.parse(typed).tokens]
    assert names == ["channels_last", "compile", "cpp_wrapper"]


def test_options_have_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    last = replace(OPTIONS["cpp_wrapper"], name="zzz")
    taker = replace(EXECUTORS["compile"], options=frozenset({"cpp_wrapper", "zzz"}))
    monkeypatch.setattr(modes, "OPTIONS", {**OPTIONS, "zzz": last})
    monkeypatch.setattr(modes, "EXECUTORS", {**EXECUTORS, "compile": taker})
    assert modes.canonical("zzz+compile+cpp_wrapper") == "compile+cpp_wrapper+zzz"
    assert modes.parse("zzz+compile").without_executor().name == "eager"


@pytest.mark.parametrize(
    ("mode", "executor"),
    [
        ("cpp_wrapper", "eager"),
        ("eager+cpp_wrapper", "eager"),
        ("cpp_wrapper+channels_last", "eager"),
        ("aot+cpp_wrapper", "aot"),
        ("reduce-overhead+cpp_wrapper", "reduce-overhead"),
    ],
)
def test_an_option_that_the_executor_does_not_take_is_refused(mode: str, executor: str) -> None:
    takers = [name for name, other in EXECUTORS.items() if "cpp_wrapper" in other.options]
    with pytest.raises(RequestError) as raised:
        modes.parse(mode)
    assert str(raised.value) == (
        f"mode {mode!r} has the option cpp_wrapper, which the executor {executor} does not take; "
        f"executors that take it: {', '.join(takers)}"
    )
    assert {"compile", "freeze", "max-autotune"} <= set(takers)


def test_rewrites_apply_in_their_order_and_memory_formats_last() -> None:
    rewrites = [
        replace(REWRITES["channels_last"], name=name, is_memory_format=is_last, order=order)
        for name, is_last, order in (("a", True, 0), ("b", False, 2), ("c", False, 1))
    ]
    assert [one.name for one in sorted(rewrites, key=modes.order)] == ["c", "b", "a"]


@pytest.mark.parametrize("name", modes.tokens())
def test_each_token_says_what_it_does(name: str) -> None:
    assert modes.tokens()[name].what


def test_unknown_token_error_lists_the_nearest_and_all_tokens() -> None:
    with pytest.raises(RequestError) as raised:
        modes.parse("compile+channel_last")
    assert str(raised.value) == (
        "no mode token is called 'channel_last'; did you mean 'channels_last'? "
        f"known: {', '.join(modes.tokens())}"
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
        (
            "onnxruntime+channels_last",
            r"has no effect: onnxruntime chooses memory formats itself; leave out channels_last",
        ),
        ("cpp_wrapper+compile+cpp_wrapper", r"has the option cpp_wrapper twice"),
    ],
)
def test_tokens_that_exclude_each_other_raise_request_error(mode: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        modes.parse(mode)


@pytest.mark.parametrize(
    ("mode", "rewrites", "compiles", "is_exclusive", "is_replayed"),
    [
        ("eager", [], False, False, False),
        ("compile", [], True, False, False),
        ("channels_last", ["channels_last"], False, False, False),
        ("channels_last+compile", ["channels_last"], True, False, False),
        ("reduce-overhead", [], True, False, True),
        ("max-autotune", [], True, True, True),
        ("channels_last+max-autotune", ["channels_last"], True, True, True),
        ("freeze+cpp_wrapper", [], True, False, False),
        ("cudagraphs", [], False, False, True),
        ("cudagraphs+channels_last", ["channels_last"], False, False, True),
    ],
)
def test_properties_of_modes(
    mode: str, rewrites: list[str], compiles: bool, is_exclusive: bool, is_replayed: bool
) -> None:
    found = modes.parse(mode)
    assert [rewrite.name for rewrite in found.rewrites] == rewrites
    assert found.executor.compiles is found.executor.captures is compiles
    assert found.executor.is_exclusive is is_exclusive
    assert found.is_replayed("cuda:1") is is_replayed
    assert not found.is_replayed("cpu")


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
    assert modes.parse(mode).executor.calls == calls


@pytest.mark.parametrize("mode", ["eager", "compile+channels_last", "max-autotune"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_check_accepts_modes_that_run_on_every_device(mode: str, device: str) -> None:
    modes.check(mode, device, ["infer", "train"])


@pytest.mark.parametrize("name", ["cudagraphs", "reduce-overhead", "tensorrt"])
def test_check_refuses_tokens_for_cuda_on_a_cpu_and_lists_available_tokens(name: str) -> None:
    with pytest.raises(RequestError) as raised:
        modes.check(f"{name}+channels_last", "cpu", ["infer"])
    on_cpu = [name for name, token in modes.tokens().items() if "cpu" in token.devices]
    assert str(raised.value) == (
        f"mode token {name!r} does not run on cpu; available there: {', '.join(on_cpu)}"
    )
    modes.check(f"{name}+channels_last", "cuda:1", ["infer"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cudagraphs", "it captures only a forward pass; to train .*, use reduce-overhead"),
        ("freeze", "weights become constants; to train, use compile"),
        ("aot", "the package has only a forward pass; to train, use compile"),
        ("tensorrt", "an engine has only a forward pass; to train, use compile"),
    ],
)
def test_check_refuses_training_and_says_what_to_use(name: str, why: str) -> None:
    with pytest.raises(RequestError, match=f"'{name}' supports infer, not train: {why}"):
        modes.check(name, "cuda", ["infer", "train"])


@pytest.mark.parametrize("mode", ["compile+cpp_wrapper", "max-autotune", "reduce-overhead"])
def test_check_accepts_training_with_torch_compile(mode: str) -> None:
    modes.check(mode, "cuda", ["infer", "train"])


def test_check_refuses_a_dtype_that_an_executor_lacks_and_says_why() -> None:
    modes.check("openvino", "cpu", ["infer"], ["fp32", "bf16"])
    with pytest.raises(RequestError, match="supports fp32, not bf16: its CPU kernels compute in"):
        modes.check("onnxruntime", "cpu", ["infer"], ["bf16"])


def test_a_rewrite_and_an_executor_of_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        modes, "REWRITES", {"compile": replace(REWRITES["channels_last"], name="compile")}
    )
    with pytest.raises(
        RequestError, match="an executor and a memory format are both called 'compile'"
    ):
        modes.parse("eager")
