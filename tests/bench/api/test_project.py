"""The settings of a project: read from pyproject.toml, and filled into requests."""

from datetime import date
from pathlib import Path

import pytest

from bench.api import project
from bench.api.measure_request import MeasureRequest
from bench.api.project import GateTable, Project
from bench.errors import RequestError
from bench.gate import group_sequential
from bench.gate.exceptions import Waiver
from bench.pyproject import FILE

EXAMPLE = """
[tool.googlenet-bench]
archs = ["nets.py:small", "torchvision:resnet18"]
modes = ["eager", "compile"]
dtypes = ["fp32"]
batch-sizes = [1, 8]
tasks = ["infer"]
input-shape = "1x28x28"
foreign-cpus = 0.5
baseline = "counts.json"

[tool.googlenet-bench.accuracy]
anything = 1

[tool.googlenet-bench.gate]
modes = ["eager"]
delta = 0.05
most-sets = 9
budget = 600

[[tool.googlenet-bench.gate.exceptions]]
cells = "nets.py:small*"
delta = 0.10
reason = "fused later"
expires = 2027-03-31
"""
OWN, GATE = "[tool.googlenet-bench]", "[tool.googlenet-bench.gate]"


def read(folder: Path, text: str) -> Project:
    (folder / FILE).write_text(text)
    return project.read(folder)


def test_settings_are_read_from_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    assert settings.archs == ("nets.py:small", "torchvision:resnet18")
    assert settings.batch_sizes == (1, 8)
    assert settings.baseline == "counts.json"
    assert settings.gate == GateTable(
        modes=("eager",),
        delta=0.05,
        most_sets=9,
        budget=600.0,
        exceptions=(
            Waiver(
                cells="nets.py:small*",
                delta=0.1,
                reason="fused later",
                expires=date(2027, 3, 31),
            ),
        ),
    )


def test_a_gate_has_the_project_s_settings_where_it_has_none_of_its_own(tmp_path: Path) -> None:
    gate = read(tmp_path, EXAMPLE).for_gate
    assert gate.modes == ("eager",)
    assert gate.batch_sizes == (1, 8)
    assert gate.foreign_cpus == 0.5
    assert (gate.delta, gate.most_sets) == (0.05, 9)


@pytest.mark.parametrize(
    ("own", "gate", "expected"),
    [
        ('input-shape = "1x28x28"', "image-size = 64", (64, None)),
        ("image-size = 64", 'input-shape = "1x28x28"', (None, "1x28x28")),
        ("image-size = 64", "", (64, None)),
    ],
)
def test_a_size_or_shape_of_the_gate_replaces_both_of_the_project(
    tmp_path: Path, own: str, gate: str, expected: tuple[int | None, str | None]
) -> None:
    table = read(tmp_path, f"{OWN}\n{own}\n{GATE}\n{gate}").for_gate
    assert (table.image_size, table.input_shape) == expected


@pytest.mark.parametrize("text", [None, "", "[tool.other]\ndelta = 9"])
def test_without_a_table_the_defaults_apply(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    settings = project.read(tmp_path)
    assert settings == Project()
    assert project.fill(MeasureRequest(), settings) == MeasureRequest()
    assert (settings.gate.delta, settings.gate.alpha, settings.gate.most_sets) == (
        group_sequential.LEAST_EFFECT,
        group_sequential.ALPHA,
        group_sequential.MOST_SETS,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{OWN}\narch = 1", f"{OWN}: Object contains unknown field `arch`"),
        (f"{OWN}\narchs = 'a'", f"{OWN}, archs: Expected `array`, got `str`"),
        (f"{OWN}\narchs = []", f"{OWN}, archs: Expected `array` of length >= 1"),
        (f"{OWN}\nbatch-sizes = [1, 0]", f"{OWN}, batch-sizes[1]: Expected `int` >= 1"),
        (f"{OWN}\nimage-size = 1.5", f"{OWN}, image-size: Expected `int`, got `float`"),
        (f"{OWN}\nforeign-cpus = 0", f"{OWN}, foreign-cpus: Expected `float` > 0"),
        (f"{OWN}\nbaseline = ''", f"{OWN}, baseline: Expected `str` of length >= 1"),
        (f"{OWN}\ninput-shape = '28x28'", f"{OWN}: input-shape takes channels, height and width"),
        (f"{OWN}\ninput-shape = [1, 28, 0]", f"{OWN}: input-shape must be at least 1, not 0"),
        (f"{GATE}\ninput-shape = 'a'", f"{GATE}: input-shape takes channels, height and width"),
        (
            f"{GATE}\nimage-size = 64\ninput-shape = '1x28x28'",
            f"{GATE}: image-size and input-shape cannot be combined: remove one",
        ),
        (f"{GATE}\ndleta = 1", f"{GATE}: Object contains unknown field `dleta`"),
        (f"{GATE}\ndelta = 'much'", f"{GATE}, delta: Expected `float`, got `str`"),
        (f"{OWN}\ngate = 3", f"{GATE}: Expected `object`, got `int`"),
        ("tool.googlenet-bench = 3", f"{OWN}: Expected `object`, got `int`"),
        (
            EXAMPLE.replace('"fused later"', '""'),
            f"{GATE}, exceptions[0].reason: Expected `str` of length >= 1",
        ),
    ],
)
def test_an_error_names_the_file_the_table_and_the_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / FILE}, {message}")


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"cannot read {tmp_path / FILE}: "):
        read(tmp_path, "[tool")


def test_options_win_over_the_table(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    request = project.fill(MeasureRequest(modes=("channels_last",), foreign_cpus=2.0), settings)
    assert request == MeasureRequest(
        archs=("nets.py:small", "torchvision:resnet18"),
        modes=("channels_last",),
        dtypes=("fp32",),
        batch_sizes=(1, 8),
        tasks=("infer",),
        input_shape=(1, 28, 28),
        foreign_cpus=2.0,
    )


def test_a_size_of_the_options_wins_over_a_shape_of_the_table(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    assert project.fill(MeasureRequest(image_size=64), settings).input_shape is None


def test_a_profile_says_what_is_measured_and_the_table_does_not(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    request = project.fill(MeasureRequest(profile="quick"), settings)
    assert request == MeasureRequest(profile="quick", foreign_cpus=0.5)
