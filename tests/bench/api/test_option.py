"""pytest's options and argparse's are the same, because both are made from one declaration."""

import argparse
from functools import partial

import pytest

from bench.api import values
from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, declared, flag, read, read_parsed
from bench.api.pick_request import PickRequest
from bench.errors import RequestError

Options = type[MeasureRequest | GateOptions]


def by_argparse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_to_parser(parser, MeasureRequest)
    add_to_parser(parser, GateOptions)
    return parser


def described(actions: list[argparse.Action]) -> dict[str, tuple[object, ...]]:
    return {
        name: (action.dest, action.default, action.metavar, action.help, type(action).__name__)
        for action in actions
        for name in action.option_strings
    }


def test_pytest_and_argparse_have_the_same_options(pytestconfig: pytest.Config) -> None:
    ours = described(by_argparse()._actions)
    theirs = described(pytestconfig._parser.optparser._actions)
    assert {"--archs", "--batch-sizes", "--no-ceiling", "--base-python"} < ours.keys()
    assert {name: theirs[name] for name in ours if name not in {"-h", "--help"}} == {
        name: about for name, about in ours.items() if name not in {"-h", "--help"}
    }


@pytest.mark.parametrize("request_type", [MeasureRequest, GateOptions])
def test_nothing_typed_is_the_default_request(request_type: Options) -> None:
    parsed = by_argparse().parse_args([])
    assert read(request_type, partial(getattr, parsed)) == request_type()


def test_text_and_values_are_read_alike() -> None:
    typed = ["--archs=a, b", "--batch-sizes=1,8", "--sets=3", "--budget=1.5", "--no-ceiling"]
    parsed = by_argparse().parse_args([*typed, "--fit", "--report-dir=out"])
    given = MeasureRequest(
        archs=["a", "b"],
        batch_sizes=[1, 8],
        sets=3,
        budget=1.5,
        ceiling=False,
        fit=True,
        report_dir="out",
    )
    request = read(MeasureRequest, partial(getattr, parsed))
    assert request == read(MeasureRequest, partial(getattr, given))
    assert (request.archs, request.batch_sizes, request.sets) == (("a", "b"), (1, 8), 3)
    assert (request.budget, request.ceiling, request.fit) == (1.5, False, True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sets", 0, "--sets must be at least 1, not 0"),
        ("sets", 2.5, "--sets takes a whole number, not 2.5"),
        ("batch_sizes", 8, "--batch-sizes takes several values, not 8"),
        ("batch_sizes", [1.5], "--batch-sizes takes a whole number, not 1.5"),
        ("budget", [1], "--budget takes a number, not [1]"),
        ("ceiling", "no", "--ceiling is either on or off (True or False), not 'no'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_option_s_name(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(RequestError) as raised:
        read(MeasureRequest, {name: value}.get)
    assert str(raised.value) == message


def test_an_option_is_typed_with_hyphens() -> None:
    assert flag("batch_sizes") == "--batch-sizes"


def test_a_word_of_python_s_is_an_option_too() -> None:
    assert flag("from_") == "--from"
    parser = argparse.ArgumentParser()
    add_to_parser(parser, PickRequest)
    parsed = parser.parse_args(["--from", "a,b", "--max-latency=20ms"])
    assert read_parsed(PickRequest, parsed) == PickRequest(from_=("a", "b"), max_latency=0.020)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.duration, "20ms", 0.020),
        (values.duration, "0.02s", 0.020),
        (values.duration, "500us", 0.0005),
        (values.duration, "500 µs", 0.0005),
        (values.large_number, "30M", 30e6),
        (values.large_number, "1.5G", 1.5e9),
        (values.large_number, "25000", 25_000),
        (values.size, "1GiB", 2**30),
        (values.size, "500MB", 500e6),
        (values.percentage, "75.5", 75.5),
    ],
)
def test_a_value_with_a_unit_is_read(parse: values.Parser[float], text: str, value: float) -> None:
    assert parse(text, "--x") == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (values.duration, "20", "--x takes a positive number with a unit (s, ms, us, µs)"),
        (values.duration, "20min", "such as 20ms, not '20min'"),
        (values.duration, "-1ms", "such as 20ms, not '-1ms'"),
        (values.duration, "0ms", "not '0ms'"),
        (values.duration, "1.2.3s", "not '1.2.3s'"),
        (values.large_number, "many", "such as 30M, not 'many'"),
        (values.size, "1", "(KiB, MiB, GiB, kB, MB, GB), such as 1GiB, not '1'"),
        (values.percentage, "175", "--x is a percentage, so from 0 to 100, not 175"),
        (values.percentage, "much", "--x takes a number, not 'much'"),
    ],
)
def test_a_wrong_unit_is_refused_with_an_example(
    parse: values.Parser[float], text: str, message: str
) -> None:
    with pytest.raises(RequestError) as raised:
        parse(text, "--x")
    assert message in str(raised.value)


def test_help_shows_each_option_in_the_group_of_its_declaration() -> None:
    shown = {group.title: group._group_actions for group in by_argparse()._action_groups}
    for request in (MeasureRequest, GateOptions):
        for name, each in declared(request).items():
            assert flag(name) in {
                text for action in shown[each.group] for text in action.option_strings
            }


def test_pytest_has_the_same_groups(pytestconfig: pytest.Config) -> None:
    shown = {group.title for group in pytestconfig._parser.optparser._action_groups}
    for request in (MeasureRequest, GateOptions):
        titles = {each.group for each in declared(request).values()}
        assert {f"googlenet-bench: {title}" for title in titles} <= shown
