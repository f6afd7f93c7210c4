from bench.doctor import card
from bench.doctor.finding import Severity
from bench.machine.card import CardReading
from bench.machine.environment import CardFacts

FACTS = CardFacts(
    driver="595.45",
    uuid="GPU-1",
    mig=False,
    mps_seen=None,
    most_sm_hz=1_980_000_000,
    power_limit_w=700.0,
)
COOL = CardReading(
    others=(), sm_hz=1_500_000_000, power_w=80.4, temperature_c=31, reasons=("idle",)
)
HOT = CardReading(temperature_c=92, reasons=("sw_thermal", "power_cap"))


def test_all_findings_of_a_free_card_are_fine() -> None:
    identity, state, others = card.known("cuda:0", FACTS, COOL, (), "NVIDIA H200")
    assert identity.found == "NVIDIA H200, driver 595.45, GPU-1"
    assert state.found == "SM clock 1,500 of 1,980 MHz, power 80 of 700 W, 31 °C"
    assert others.found == "none"
    assert {finding.state for finding in (identity, state, others)} == {Severity.FINE}


def test_hot_card_spoils_figures_and_other_processes_prevent_measuring() -> None:
    _, state, others = card.known("cuda", FACTS, HOT, ("process 7", "process 8"))
    assert state.found == "92 °C, slowed down because of sw thermal, power cap"
    assert state.state is Severity.SPOILS
    assert others.found == "process 7; process 8"
    assert others.state is Severity.PREVENTS
    assert "--allow-shared" in others.advice


def test_card_at_its_power_limit_is_fine() -> None:
    _, state, _ = card.known("cuda", FACTS, CardReading(reasons=("power_cap",)), ())
    assert state.state is Severity.FINE


def test_divided_card_without_readings_is_described() -> None:
    identity, state, others = card.known(
        "cuda", CardFacts(mig=True, mps_seen=True), CardReading(), ()
    )
    assert identity.found.startswith("divided by MIG: clocks")
    assert identity.found.endswith("a sign of MPS was seen")
    assert state.found == others.found == "unknown"


def test_unknown_card_spoils_figures_and_refused_card_prevents_measuring() -> None:
    assert card.unknown("cuda", "nvidia-ml-py is not installed").state is Severity.SPOILS
    assert card.refused("cuda", "it is in compute mode prohibited").state is Severity.PREVENTS
