import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine.card import Around, CardProcess, CardReading
from bench.records import store
from bench.records.record import CellRecord, Round, RunRecord
from bench.report import card, frame, markdown, notes, trust
from bench.report.page import render
from tests.bench import runs

DEVICE = "cuda:0"
FACTS = {
    "uuid": "GPU-1",
    "driver": "595.45",
    "mig": False,
    "mps_seen": False,
    "persistence": True,
    "compute_mode": "default",
    "power_limit_w": 400.0,
    "most_sm_hz": 1_500_000_000,
    "most_memory_hz": None,
}
COOL = CardReading(
    sm_hz=1_200_000_000,
    temperature_c=41,
    power_w=90.0,
    reasons=("idle",),
    throttled_s={"power_cap": 1.0, "thermal": 0.0},
)
BUSY = replace(
    COOL, sm_hz=1_400_000_000, temperature_c=57, throttled_s={"power_cap": 1.25, "thermal": 0.0}
)
HOT = replace(BUSY, reasons=("sw_thermal",))
REASONS = ((), (), ("thermal",), ("thermal", "foreign_device"), ("foreign_cpus",), ())


def on_card(record: CellRecord) -> CellRecord:
    setups = tuple(
        {**setup, "energy_j": 60.0, "energy_images": 40 + 40 * index}
        for index, setup in enumerate(record.setups)
    )
    return replace(record, cell=replace(record.cell, device=DEVICE), setups=setups)


def rounds() -> tuple[Round, ...]:
    around = [Around(before=COOL, after=HOT if "thermal" in names else BUSY) for names in REASONS]
    return tuple(
        replace(
            found,
            group=replace(runs.EAGER, device=DEVICE).group,
            voided=bool(names),
            reasons=names,
            card=on,
        )
        for found, names, on in zip(runs.rounds(runs.EAGER), REASONS, around, strict=True)
    )


def run(**facts: object) -> RunRecord:
    """A run made by hand on a card that is made up."""
    small = runs.small()
    cells = (runs.measured(runs.REFERENCE_EAGER), runs.measured(runs.EAGER))
    return replace(
        small,
        cells=tuple(map(on_card, cells)),
        controls=(on_card(small.controls[0]),),
        rounds=rounds(),
        environment={**small.environment, "device": DEVICE, "cards": {DEVICE: {**FACTS, **facts}}},
    )


def rendered(of: RunRecord) -> str:
    return render(of, findings=(), charts=())


def test_the_circumstances_show_the_card_and_what_was_seen_of_it() -> None:
    assert card.facts(run()) == {
        f"{DEVICE}: {name}": value
        for name, value in {
            "UUID": "GPU-1",
            "divided by MIG": "no",
            "MPS": "no sign of it",
            "persistence mode": "on",
            "compute mode": "default",
            "power limit": "400 W",
            "highest SM clock": "1,500 MHz",
            "highest memory clock": "not told",
            "SM clock between rounds": "1,200–1,400 MHz",
            "memory clock between rounds": "not told",
            "temperature between rounds": "41–57 °C",
            "power between rounds": "90 W",
            "slowed down": "power cap in 6 of 6 rounds (1.50 s), sw thermal in 2 of 6 rounds",
        }.items()
    }
    for text in (markdown.render(run()), rendered(run())):
        assert "41–57 °C" in text
        assert "{'uuid'" not in text


def test_of_several_devices_each_has_the_rounds_of_its_own_sets() -> None:
    group = replace(runs.EAGER, device="cuda:all").group
    found = [replace(one, group=group) for one in rounds()]
    several = replace(
        run(),
        rounds=tuple(replace(one, set_index=index % 2) for index, one in enumerate(found)),
        plan={**run().plan, "devices": ["cuda:0", "cuda:1"]},
        environment={**run().environment, "cards": {"cuda:0": {**FACTS}, "cuda:1": {**FACTS}}},
    )
    told = card.facts(several)
    assert "of 3 rounds" in str(told["cuda:0: slowed down"])
    assert "of 3 rounds" in str(told["cuda:1: slowed down"])


def test_never_slowed_down_is_not_the_same_as_not_told() -> None:
    def with_readings(reading: CardReading) -> object:
        around = Around(before=reading, after=reading)
        quiet = replace(run(), rounds=tuple(replace(r, card=around) for r in rounds()))
        return card.facts(quiet)[f"{DEVICE}: slowed down"]

    assert with_readings(COOL) == "never"
    assert with_readings(CardReading(temperature_c=40)) == "not told"


def test_the_reasons_of_voided_rounds_are_told_apart() -> None:
    (found,) = trust.assess(run())
    assert found.voided_by == {"foreign_cpus": 1, "thermal": 2, "foreign_device": 1}
    assert found.voided_share == 3 / 6
    assert found.is_busy
    row = trust.table([found]).iloc[0]
    assert (row["voided_foreign_cpus"], row["voided_thermal"], row["voided_foreign_device"]) == (
        1,
        2,
        1,
    )
    (warning,) = trust.warnings(run())
    assert "the machine was too busy, or its card too hot: " in warning
    assert warning.endswith("measure again when it is quiet and cool.")
    assert "50% of 6 rounds were voided, 1 because other processes kept the machine busy, 2" in (
        warning
    )
    text = markdown.render(run())
    assert "for heat" in text
    assert "A card at its power limit is told of" in text
    assert "A card at its power limit is told of" in rendered(run())


def test_a_cell_without_a_valid_round_says_why() -> None:
    hot = tuple(replace(r, voided=True, reasons=("thermal",)) for r in rounds())
    whole = run()
    voided = tuple(
        replace(record, visits=tuple(replace(v, voided=True) for v in record.visits))
        for record in whole.cells
    )
    failed = frame.failures(replace(whole, cells=voided, rounds=hot))
    assert "too hot" in failed["reason"].iloc[0]
    assert "kept the machine busy" not in failed["reason"].iloc[0]


def test_energy_is_of_all_windows_and_said_to_include_idle_power() -> None:
    summary = frame.summary(run())
    assert list(summary["energy_per_image_j"]) == pytest.approx([math.sqrt(1.5 * 0.75)] * 2)
    assert {"energy_per_image_j_low", "energy_per_image_j_high"} <= set(summary.columns)
    for text in (markdown.render(run()), rendered(run())):
        assert "J/image" in text
        assert "Idle power is not subtracted" in text


def test_on_a_cpu_there_is_nothing_of_all_this() -> None:
    small = runs.small()
    assert card.facts(small) == {}
    assert "energy_per_image_j" not in frame.summary(small)
    shown = trust.columns(trust.table(trust.assess(small)))
    assert set(shown) == set(trust.COLUMNS) - {trust.DISTURBED}
    text = markdown.render(small)
    assert "J/image" not in text
    assert "A card at its power limit" not in text


def test_a_card_at_its_power_limit_is_told_of() -> None:
    (note,) = card.notes(run())
    assert note.startswith("cuda:0 was at its power limit in 6 rounds, which count")


def test_a_divided_card_and_mps_are_told_of() -> None:
    mig, mps, _ = card.notes(run(mig=True, mps_seen=True))
    assert "an instance of a card that MIG has divided" in mig
    assert "Multi-Process Service" in mps
    assert card.facts(run(mig=True))["cuda:0: divided by MIG"] == "yes"


def test_missing_energy_is_told_of_where_it_was_asked_for() -> None:
    asked = replace(run(), plan={**run().plan, "energy": True})
    assert not any("energy" in note for note in card.notes(asked))
    without = tuple(
        replace(record, setups=({"energy_voided": ["thermal"]},)) for record in asked.cells
    )
    _, none, *voided = card.notes(replace(asked, cells=without))
    assert none.startswith("No energy was measured")
    assert [
        note.startswith(f"{record.cell.id}: 1 of its windows")
        for note, record in zip(voided, without, strict=True)
    ] == [True, True]


def test_a_card_that_nobody_knows_is_told_of_with_what_would_help() -> None:
    why = "nvidia-ml-py is not installed; pip install 'googlenet-bench[gpu]' would tell"
    unknown = replace(run(), environment={**run().environment, "cards": {DEVICE: {"unknown": why}}})
    (note,) = card.notes(unknown)
    assert why in note
    assert card.facts(unknown) == {f"{DEVICE}: state": f"not known: {why}"}
    assert note in notes.collect(unknown)


def test_a_shared_card_is_a_warning() -> None:
    shared = replace(run(), shared={DEVICE: (str(CardProcess(pid=7, name="python3")),)})
    warning = next(trust.warnings(shared))
    assert warning.startswith("cuda:0 was shared: process 7 (python3). ")
    assert warning.partition(":")[0] in markdown.render(shared)


@pytest.mark.parametrize("shared", [{}, {DEVICE: ("process 7",)}])
def test_what_is_known_of_a_card_survives_the_run_file(
    shared: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    whole = replace(run(), shared=shared)
    store.write(whole, path)
    assert store.read(path) == whole
