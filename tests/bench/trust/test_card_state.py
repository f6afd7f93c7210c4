import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.machine.card import Around, CardProcess, CardReading
from bench.machine.environment import CardFacts
from bench.records import store
from bench.records.record import CellRecord, Round, RunRecord
from bench.records.reported import Setup
from bench.report import frame, notes
from bench.trust import assessment, card_state, wording
from tests.bench import runs
from tests.bench.report.rendered import markdown, page

DEVICE = "cuda:0"
FACTS = CardFacts(
    uuid="GPU-1",
    driver="595.45",
    mig=False,
    mps_seen=False,
    persistence=True,
    compute_mode="default",
    power_limit_w=400.0,
    most_sm_hz=1_500_000_000,
    most_memory_hz=None,
)
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


def with_card(record: CellRecord) -> CellRecord:
    setups = tuple(
        msgspec.structs.replace(setup, energy_j=60.0, energy_images=40 + 40 * index)
        for index, setup in enumerate(record.setups)
    )
    return replace(record, cell=replace(record.cell, device=DEVICE), setups=setups)


def rounds() -> tuple[Round, ...]:
    around = [Around(before=COOL, after=HOT if "thermal" in names else BUSY) for names in REASONS]
    return tuple(
        replace(
            round_,
            group=replace(runs.EAGER, device=DEVICE).group,
            voided=bool(names),
            reasons=names,
            card=state,
        )
        for round_, names, state in zip(runs.rounds(runs.EAGER), REASONS, around, strict=True)
    )


def run(**facts: Any) -> RunRecord:
    """Return a synthetic run on a card with ``FACTS``, changed by ``facts``."""
    small = runs.small()
    cells = (runs.measured(runs.REFERENCE_EAGER), runs.measured(runs.EAGER))
    measured = replace(
        small,
        cells=tuple(map(with_card, cells)),
        controls=(with_card(small.controls[0]),),
        rounds=rounds(),
    )
    card_facts = msgspec.structs.replace(FACTS, **facts)
    return runs.in_environment(measured, device=DEVICE, cards={DEVICE: card_facts})


def rendered(record: RunRecord) -> str:
    return page(record)


def test_circumstances_show_the_properties_and_the_readings_of_the_card() -> None:
    assert card_state.facts(run()) == {
        f"{DEVICE}: {name}": value
        for name, value in {
            "UUID": "GPU-1",
            "MIG": "off",
            "MPS": "not detected",
            "persistence mode": "on",
            "compute mode": "default",
            "power limit": "400 W",
            "highest SM clock": "1,500 MHz",
            "highest memory clock": "unknown",
            "SM clock between rounds": "1,200–1,400 MHz",
            "memory clock between rounds": "unknown",
            "temperature between rounds": "41–57 °C",
            "power between rounds": "90 W",
            "throttled": "power cap in 6 of 6 rounds (1.50 s), sw thermal in 2 of 6 rounds",
        }.items()
    }
    for text in (markdown(run()), rendered(run())):
        assert "41–57 °C" in text
        assert "{'uuid'" not in text


def test_one_round_of_throttling_is_written_in_the_singular() -> None:
    throttled = card_state.facts(replace(run(), rounds=rounds()[:1]))[f"{DEVICE}: throttled"]
    assert str(throttled).startswith("power cap in 1 of 1 round (")


def test_with_several_devices_each_has_the_rounds_of_its_own_sets() -> None:
    group = replace(runs.EAGER, device="cuda:all").group
    all_rounds = [replace(round_, group=group) for round_ in rounds()]
    several = replace(
        run(),
        rounds=tuple(
            replace(round_, set_index=index % 2) for index, round_ in enumerate(all_rounds)
        ),
        plan=msgspec.structs.replace(run().plan, devices=["cuda:0", "cuda:1"]),
        environment=msgspec.structs.replace(
            run().environment, cards={"cuda:0": FACTS, "cuda:1": FACTS}
        ),
    )
    facts = card_state.facts(several)
    assert "of 3 rounds" in str(facts["cuda:0: throttled"])
    assert "of 3 rounds" in str(facts["cuda:1: throttled"])


def test_never_throttled_differs_from_unknown() -> None:
    def throttled(reading: CardReading) -> object:
        around = Around(before=reading, after=reading)
        quiet = replace(run(), rounds=tuple(replace(r, card=around) for r in rounds()))
        return card_state.facts(quiet)[f"{DEVICE}: throttled"]

    assert throttled(COOL) == "never"
    assert throttled(CardReading(temperature_c=40)) == "unknown"


def test_voided_rounds_are_counted_by_reason() -> None:
    (group,) = assessment.assess(run())
    assert group.voided_by == {"foreign_cpus": 1, "thermal": 2, "foreign_device": 1}
    assert group.voided_share == 3 / 6
    assert group.is_busy
    row = assessment.table([group]).iloc[0]
    assert (row["voided_foreign_cpus"], row["voided_thermal"], row["voided_foreign_device"]) == (
        1,
        2,
        1,
    )
    (warning,) = wording.warnings(run())
    assert "the machine was too busy, or its card too hot: " in warning
    assert warning.endswith("measure again when the machine is quiet and cool.")
    assert "50% of 6 rounds were voided, 1 because other processes used the CPUs, 2" in (warning)
    text = markdown(run())
    assert "for heat" in text
    assert "A card at its power limit\nis reported" in text
    assert "A card at its power limit\nis reported" in rendered(run())


def test_a_cell_without_valid_rounds_has_a_reason() -> None:
    hot = tuple(replace(r, voided=True, reasons=("thermal",)) for r in rounds())
    complete = run()
    voided = tuple(
        replace(record, visits=tuple(replace(v, voided=True) for v in record.visits))
        for record in complete.cells
    )
    failed = frame.failures(replace(complete, cells=voided, rounds=hot))
    assert "too hot" in failed["reason"].iloc[0]
    assert "other processes used the CPUs" not in failed["reason"].iloc[0]


def test_energy_uses_all_windows_and_the_report_says_that_it_includes_idle_power() -> None:
    summary = frame.summary(run())
    assert list(summary["energy_per_image_j"]) == pytest.approx([math.sqrt(1.5 * 0.75)] * 2)
    assert {"energy_per_image_j_low", "energy_per_image_j_high"} <= set(summary.columns)
    for text in (markdown(run()), rendered(run())):
        assert "J/image" in text
        assert "Idle power is not subtracted" in text


def test_a_cpu_run_has_no_card_facts() -> None:
    small = runs.small()
    assert card_state.facts(small) == {}
    assert "energy_per_image_j" not in frame.summary(small)
    shown = assessment.columns(assessment.table(assessment.assess(small)))
    assert set(shown) == set(assessment.COLUMNS) - {assessment.DISTURBED}
    text = markdown(small)
    assert "J/image" not in text
    assert "A card at its power limit" not in text


def test_a_card_at_its_power_limit_is_noted() -> None:
    (note,) = card_state.notes(run())
    assert note.startswith("cuda:0 was at its power limit in 6 rounds. Such rounds count")


def test_a_card_that_was_throttled_for_another_reason_is_not_at_its_power_limit() -> None:
    hot = replace(COOL, throttled_s={"power_cap": 1.0, "thermal": 0.5})
    around = Around(before=COOL, after=hot)
    of = run()
    assert around.throttling
    rounds = tuple(replace(round_, card=around) for round_ in of.rounds)
    assert list(card_state.notes(replace(of, rounds=rounds))) == []


def test_mig_and_mps_are_noted() -> None:
    mig, mps, _ = card_state.notes(run(mig=True, mps_seen=True))
    assert "is a MIG instance" in mig
    assert "Multi-Process Service" in mps
    assert card_state.facts(run(mig=True))["cuda:0: MIG"] == "on"


def test_missing_energy_is_noted_if_it_was_requested() -> None:
    requested = replace(run(), plan=msgspec.structs.replace(run().plan, energy=True))
    assert not any("energy" in note for note in card_state.notes(requested))
    without = tuple(
        replace(record, setups=(Setup(energy_voided=("thermal",)),)) for record in requested.cells
    )
    _, none, *voided = card_state.notes(replace(requested, cells=without))
    assert none.startswith("No energy was measured")
    assert [
        note.startswith(f"{record.cell.id}: 1 of its energy windows")
        for note, record in zip(voided, without, strict=True)
    ] == [True, True]


def test_an_unknown_card_is_noted_with_the_remedy() -> None:
    why = "nvidia-ml-py is not installed; to read the card, pip install 'googlenet-bench[gpu]'"
    unknown = runs.in_environment(run(), cards={DEVICE: CardFacts(unknown=why)})
    (note,) = card_state.notes(unknown)
    assert why in note
    assert card_state.facts(unknown) == {f"{DEVICE}: state": f"unknown: {why}"}
    assert note in notes.collect(unknown)


def test_a_shared_card_is_a_warning() -> None:
    shared = replace(run(), shared={DEVICE: (str(CardProcess(pid=7, name="python3")),)})
    warning = next(wording.warnings(shared))
    assert warning.startswith("cuda:0 was shared with: process 7 (python3). ")
    assert warning.partition(":")[0] in markdown(shared)


@pytest.mark.parametrize("shared", [{}, {DEVICE: ("process 7",)}])
def test_card_facts_survive_the_run_file(
    shared: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    written = replace(run(), shared=shared)
    store.write(written, path)
    assert store.read(path) == written
