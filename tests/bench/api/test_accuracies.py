import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench import archs, measure, pyproject
from bench.api import accuracies, planning
from bench.api.measure_request import MeasureRequest
from bench.archs.source import Accuracy
from bench.errors import RequestError
from bench.metrics import applying
from bench.metrics.metric import Place
from bench.report import frame
from tests.bench.engine.running import Watcher

TINY, OTHER = "tests.bench.tiny:net", "tests.bench.tiny:of_ten_classes"
SMALL = "torchvision:squeezenet1_1"
TABLE = "[tool.googlenet-bench.accuracy]\n"
OWN = Accuracy(percent=71.5, source="[tool.googlenet-bench.accuracy] of pyproject.toml")


def write(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / pyproject.FILE).write_text(text)


def test_the_table_of_the_current_folder_comes_first_and_then_the_repository_s(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607 - on PATH
    assert accuracies.configured(folder) == {}
    write(tmp_path, f'{TABLE}"{TINY}" = 71.5')
    assert accuracies.configured(folder) == {TINY: OWN}
    write(folder, f'{TABLE}"{TINY}" = 80')
    assert accuracies.configured(folder) == {TINY: replace(OWN, percent=80.0)}
    write(folder, "[tool.other]\nx = 1")
    assert accuracies.configured(folder) == {TINY: OWN}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{TABLE}"a:b" = 171.5', "the accuracy of 'a:b' is 171.5, but a percentage is from 0"),
        (f'{TABLE}"a:b" = true', "the accuracy of 'a:b' is True, but must be a number"),
        (f'{TABLE}"a:b" = "much"', "is 'much', but must be a number"),
        ("[tool.googlenet-bench]\naccuracy = 3", "expected NAME = PERCENT"),
        ("[tool", "cannot read"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(RequestError, match=message):
        accuracies.configured(tmp_path)


def test_a_csv_file_may_name_its_sources(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"arch,accuracy,source\n{TINY},71.5,our validation set\n{OTHER},60,\n")
    assert accuracies.read_csv(path) == {
        TINY: Accuracy(percent=71.5, source="our validation set"),
        OTHER: Accuracy(percent=60.0, source="own.csv"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("arch,top1\na,1\n", "has no column accuracy; it needs arch and accuracy"),
        ("", "has no column arch and no column accuracy"),
        ("arch,accuracy\na\n", "the accuracy of 'a' is None, but must be a number"),
        ("arch,accuracy\na,nan\n", "a percentage is from 0 to 100"),
        ("arch,accuracy\na,1\na,2\n", "has two accuracies of 'a'"),
    ],
)
def test_a_wrong_csv_file_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "own.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RequestError, match=message):
        accuracies.read_csv(path)


@pytest.mark.parametrize(
    ("name", "image_size", "percent"),
    [
        (SMALL, None, 58.178),
        (SMALL, 224, 58.178),
        (SMALL, 64, None),
        (f"{SMALL}@224", 64, 58.178),
        (f"{SMALL}@64", 224, None),
        (TINY, None, None),
    ],
)
def test_a_published_accuracy_is_of_the_images_that_it_was_published_for(
    name: str, image_size: int | None, percent: float | None
) -> None:
    found = archs.find(name).accuracy_on(image_size)
    assert (found and found.percent) == percent


@pytest.mark.parametrize("name", ["nowhere/file.py:net", "nowhere/file.py:net@64"])
def test_a_network_without_a_published_accuracy_is_not_asked_for_its_size(name: str) -> None:
    arch = archs.find(name)
    with pytest.raises(RequestError):
        arch.image_size()
    assert arch.accuracy_on(64) is None


def test_a_plan_has_the_accuracies_of_its_own_archs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f'{TABLE}"{TINY}" = 71.5\n"googlenet" = 68')
    monkeypatch.chdir(tmp_path)
    plan = planning.make_plan(MeasureRequest(archs=[TINY], device="cpu"))
    assert plan.accuracies == {TINY: OWN}


def test_names_of_no_candidate_are_said_with_the_nearest_one() -> None:
    own = dict.fromkeys(("far", "my:nett", "a:b"), OWN)
    start = "own.csv has accuracies that are not used, because no candidate has the name: "
    nearest = "my:nett (did you mean my:net?), far."
    assert accuracies.unused(own, ["my:net", "a:b"], "own.csv") == start + nearest
    assert accuracies.unused(own, ["a:b"], "own.csv") == f"{start}far, my:nett."
    assert accuracies.unused({"a:b": OWN}, ["a:b", "c:d"], "own.csv") == ""


@pytest.mark.workers
def test_every_report_of_a_run_has_the_user_s_own_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    write(tmp_path, f'{TABLE}"{TINY}" = 71.5\n"{SMALL}" = 50.5')
    monkeypatch.chdir(tmp_path)
    run = measure(
        archs=[TINY, SMALL],
        modes=["eager"],
        batch_sizes=[1],
        image_size=32,
        device="cpu",
        sets=1,
        rounds=1,
        precision=1.0,
        foreign_cpus=100.0,
        ceiling=False,
        progress=Watcher(),
    ).record
    costs = [record.cost for record in run.cells]
    assert [cost.accuracy for cost in costs] == [71.5, 50.5]
    assert {cost.accuracy_source for cost in costs} == {OWN.source}
    assert all(cost.macs_per_image for cost in costs)
    assert "accuracy" in [metric.name for metric in applying(run, Place.SUMMARY)]
    assert frame.summary(run)["accuracy"].tolist() == [71.5, 50.5]
