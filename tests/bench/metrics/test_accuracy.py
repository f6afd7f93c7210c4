from dataclasses import replace

import msgspec
import pytest
from torchvision import models

from bench import archs
from bench.metrics import applying
from bench.metrics.metric import Place
from bench.records.record import RunRecord
from bench.report import frame
from bench.worker.protocol import CountCost
from bench.worker.worker import Worker
from tests.bench import runs

SMALL = "torchvision:squeezenet1_1"


@pytest.mark.parametrize(
    ("name", "percent"),
    [  # torchvision's documentation of the newest weights, acc@1
        ("torchvision:resnet18", 69.758),
        ("torchvision:resnet50", 80.858),
        ("torchvision:vit_h_14", 88.552),
        ("torchvision:googlenet", 69.778),
        ("torchvision", 69.778),
    ],
)
def test_torchvision_publishes_the_accuracy_of_its_weights(name: str, percent: float) -> None:
    published = archs.find(name).accuracy()
    assert published is not None
    assert published.percent == percent
    assert published.source.startswith("torchvision's ")
    assert published.source.endswith("on ImageNet-1K")


def test_every_classifier_of_torchvision_has_an_accuracy() -> None:
    published = [
        archs.find(f"torchvision:{name}").accuracy() for name in models.list_models(module=models)
    ]
    assert len(published) >= 80
    assert all(each is not None and 50 < each.percent < 100 for each in published)


@pytest.mark.parametrize("name", ["googlenet", "tests.bench.tiny:net"])
def test_a_network_without_published_weights_has_no_accuracy(name: str) -> None:
    assert archs.find(name).accuracy() is None


@pytest.mark.parametrize(
    ("arch", "image_size", "percent"),
    [
        (SMALL, None, 58.178),
        (SMALL, 224, 58.178),
        (f"{SMALL}@224", 64, 58.178),
        (SMALL, 64, None),
        (f"{SMALL}@64", None, None),
        (f"{SMALL}@3x224x192", None, None),
        (f"{SMALL}?num_classes=10", None, None),
    ],
)
def test_an_accuracy_is_that_of_the_network_and_images_that_were_published(
    arch: str, image_size: int | None, percent: float | None
) -> None:
    reply = Worker().cost(CountCost(arch=arch, image_size=image_size, seed=0))
    assert reply.accuracy == percent
    assert (reply.accuracy_source is None) is (percent is None)


def _with_accuracy(run: RunRecord) -> RunRecord:
    first, *others = run.cells
    known = msgspec.structs.replace(
        first.cost, accuracy=69.778, accuracy_source="torchvision's weights on ImageNet-1K"
    )
    return replace(run, cells=(replace(first, cost=known), *others))


def test_an_accuracy_stands_beside_the_latency_where_it_is_known() -> None:
    plain = runs.small()
    assert "accuracy" not in [metric.name for metric in applying(plain, Place.SUMMARY)]
    known = _with_accuracy(plain)
    names = [metric.name for metric in applying(known, Place.SUMMARY)]
    assert names.index("accuracy") == names.index("latency_s") - 1
    rows = frame.summary(known)
    assert rows["accuracy"].tolist()[0] == 69.778
    assert rows["accuracy"].isna().sum() == len(rows) - 1
    assert rows["accuracy_source"].tolist()[0] == "torchvision's weights on ImageNet-1K"
