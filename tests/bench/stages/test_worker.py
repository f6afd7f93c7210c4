from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bench.stages.protocol import CountStages, PartMacs, PartSeconds, TimeStages
from bench.stages.vocabulary import GOOGLENET
from bench.stages.worker import StagedWorker
from bench.worker.protocol import Prepare
from tests.bench import cases, runs
from tests.bench.stages import nets
from tests.counted import counted

ITERATIONS = 3


def prepared(arch: str, image_size: int) -> StagedWorker:
    worker = StagedWorker()
    cell = replace(runs.EAGER, arch=arch)
    worker.prepare(Prepare(cell=cell, image_size=image_size, seed=0))
    return worker


def by_key(parts: Iterable[PartMacs | PartSeconds], value: str) -> dict[tuple[str, str], Any]:
    return {(part.stage, part.branch): getattr(part, value) for part in parts}


@pytest.mark.parametrize("name", ["googlenet", "torchvision"])
def test_macs_of_the_stages_add_up_to_the_whole(name: str) -> None:
    result = StagedWorker().stage_macs(CountStages(arch=name, image_size=224, seed=0))
    macs = by_key(result.parts, "macs")
    assert result.whole == counted(name).macs
    assert sum(count for (_, branch), count in macs.items() if not branch) == result.whole
    for stage in GOOGLENET:
        branches = [count for (at, branch), count in macs.items() if at == stage and branch]
        assert sum(branches) == (macs[stage, ""] if branches else 0)


def test_stages_of_another_network_have_the_macs_of_its_children() -> None:
    result = StagedWorker().stage_macs(
        CountStages(arch="tests.bench.stages.nets:plain", image_size=32, seed=0)
    )
    expected = {"conv": nets.conv_macs(32), "middle": 0, "fc": nets.FC_MACS}
    assert by_key(result.parts, "macs") == {(name, ""): n for name, n in expected.items()}
    assert result.whole == sum(expected.values())


def test_module_shared_by_stages_counts_for_its_caller() -> None:
    result = StagedWorker().stage_macs(
        CountStages(arch="tests.bench.cases:SharedChild", image_size=cases.IMAGE_SIZE, seed=0)
    )
    per_call = 3 * 3 * 9 * cases.IMAGE_SIZE**2  # a 3×3 convolution 3 → 3, called three times
    assert by_key(result.parts, "macs") == {("left", ""): 2 * per_call, ("right", ""): per_call}
    assert result.whole == 3 * per_call


def test_time_asleep_in_a_stage_counts_for_that_stage() -> None:
    worker = prepared("tests.bench.stages.nets:sleeps", 32)
    result = worker.stages(TimeStages(iterations=ITERATIONS, seed=0))
    parts = by_key(result.parts, "seconds")
    assert list(parts) == [("conv", ""), ("middle", ""), ("fc", "")]
    assert len(result.whole_s) == len(result.hooked_s) == ITERATIONS
    assert min(parts["middle", ""]) >= nets.SLEEP_S
    for index, hooked_s in enumerate(result.hooked_s):
        stages_s = [seconds[index] for seconds in parts.values()]
        assert all(0 < seconds < hooked_s for seconds in stages_s)
        assert sum(stages_s) < hooked_s
        assert parts["middle", ""][index] > hooked_s / 2


def test_branches_have_separate_forward_passes() -> None:
    worker = prepared("googlenet", 32)
    result = worker.stages(TimeStages(iterations=ITERATIONS, seed=1))
    parts = by_key(result.parts, "seconds")
    assert {len(seconds) for seconds in parts.values()} == {ITERATIONS}
    assert [stage for stage, branch in parts if not branch] == list(GOOGLENET)
    assert [branch for stage, branch in parts if stage == "3a"] == ["", "1×1", "3×3", "5×5", "pool"]
    assert result.pair_s > 0
    model = worker._ready().task.model
    assert all(not module._forward_hooks for module in model.modules())


def test_seed_changes_only_the_order() -> None:
    worker = prepared("tests.bench.stages.nets:plain", 16)
    for seed in (0, 1):
        assert (
            len(worker.stages(TimeStages(iterations=ITERATIONS, seed=seed)).whole_s) == ITERATIONS
        )
    assert worker.stages(TimeStages(iterations=0, seed=0)).parts == ()
