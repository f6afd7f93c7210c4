from bench.doctor import card
from bench.doctor.finding import Severity
from bench.machine.card import CardReading

FACTS = {
    "name": "NVIDIA H200",
    "driver": "595.45",
    "uuid": "GPU-1",
    "mig": False,
    "mps_seen": None,
    "most_sm_hz": 1_980_000_000,
    "power_limit_w": 700.0,
}
COOL = CardReading(
    others=(), sm_hz=1_500_000_000, power_w=80.4, temperature_c=31, reasons=("idle",)
)
HOT = CardReading(temperature_c=92, reasons=("sw_thermal", "power_cap"))


def test_a_free_card_is_fine_throughout() -> None:
    who, state, others = card.known("cuda:0", FACTS, COOL, ())
    assert who.found == "NVIDIA H200, driver 595.45, GPU-1"
    assert state.found == "SM clock 1,500 of 1,980 MHz, power 80 of 700 W, 31 °C"
    assert others.found == "nobody"
    assert {one.state for one in (who, state, others)} == {Severity.FINE}


def test_a_hot_card_spoils_and_others_prevent() -> None:
    _, state, others = card.known("cuda", FACTS, HOT, ("process 7", "process 8"))
    assert state.found == "92 °C, slowed down for sw thermal, power cap"
    assert state.state is Severity.SPOILS
    assert others.found == "process 7; process 8"
    assert others.state is Severity.PREVENTS
    assert "--allow-shared" in others.advice


def test_a_card_at_its_power_limit_is_as_it_was_bought() -> None:
    _, state, _ = card.known("cuda", FACTS, CardReading(reasons=("power_cap",)), ())
    assert state.state is Severity.FINE


def test_a_divided_card_and_one_that_tells_nothing() -> None:
    who, state, others = card.known("cuda", {"mig": True, "mps_seen": True}, CardReading(), ())
    assert who.found.startswith("divided by MIG: clocks")
    assert who.found.endswith("a sign of MPS")
    assert state.found == others.found == "not told"


def test_what_is_not_known_spoils_and_what_is_refused_prevents() -> None:
    assert card.unknown("cuda", "nvidia-ml-py is not installed").state is Severity.SPOILS
    assert card.refused("cuda", "it is in compute mode prohibited").state is Severity.PREVENTS
