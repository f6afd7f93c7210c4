from typing import Any

import pytest

from bench.errors import RequestError
from bench.machine import run_cards
from bench.machine.driver import Identity
from bench.machine.environment import CardFacts
from bench.machine.nvml import CardUnknownError
from bench.machine.run_cards import Cards
from tests.bench.fake_nvml import IDENTITIES, UUIDS, FakeNvml

STRANGER = "process 4242 (python3) with 2,344 MiB"  # on the second card; the data file has bytes


def find(
    *devices: str, fake: FakeNvml | None = None, allow_shared: bool = False, **replacements: Any
) -> Cards:
    return run_cards.find(
        devices,
        allow_shared=allow_shared,
        **{
            "load": lambda: fake or FakeNvml(),
            "identity": IDENTITIES.__getitem__,
            "sleep": lambda _: None,
            **replacements,
        },
    )


def test_cpu_has_no_card_and_nvml_is_not_loaded() -> None:
    def load() -> Any:
        raise AssertionError("loaded")

    cards_found = find("cpu", "cpu", load=load)
    assert (cards_found.known, cards_found.unknown, cards_found.facts) == ({}, {}, {})


def test_devices_follow_the_numbering_of_cuda() -> None:
    fake = FakeNvml()
    fake.cards[1]["processes"]["Compute"] = []
    fake.cards[1]["memory"]["used"] = 0
    fake.cards.reverse()
    cards_found = find("cuda", "cuda:1", "cuda", fake=fake)
    assert {name: facts.uuid for name, facts in cards_found.facts.items()} == {
        "cuda": UUIDS[0],
        "cuda:1": UUIDS[1],
    }
    assert not cards_found.shared
    assert cards_found.known["cuda"].allowed == frozenset()


def test_card_used_by_another_process_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        find("cuda:0", "cuda:1")
    message = str(caught.value)
    assert message.startswith(f"cuda:1 is used by others: {STRANGER}. ")
    assert "--allow-shared" in message


def test_card_with_unlisted_memory_is_refused() -> None:
    fake = FakeNvml()
    fake.cards[0]["memory"]["used"] = 3 * 2**30
    with pytest.raises(RequestError, match="3,072 MiB of processes that the driver does not list"):
        find("cuda:0", fake=fake)


def test_allowed_processes_are_recorded() -> None:
    cards_found = find("cuda:0", "cuda:1", allow_shared=True)
    assert cards_found.shared == {"cuda:1": (STRANGER,)}
    assert {name: card.allowed for name, card in cards_found.known.items()} == {
        "cuda:0": frozenset(),
        "cuda:1": frozenset({4242}),
    }
    assert [card.energy_is_ours for card in cards_found.known.values()] == [True, False]


def test_find_waits_for_workers_of_the_previous_run() -> None:
    fake, slept = FakeNvml(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        fake.cards[1]["processes"]["Compute"] = []
        fake.cards[1]["memory"]["used"] = 0

    assert not find("cuda:1", fake=fake, sleep=sleep).shared
    assert slept == [run_cards.SETTLE_S]


def test_energy_of_a_divided_card_is_shared() -> None:
    fake = FakeNvml()
    fake.cards[0]["mig"] = [1, 1]
    assert not find("cuda:0", fake=fake).known["cuda:0"].energy_is_ours


@pytest.mark.parametrize(("mode", "name"), [(3, "exclusive_process"), (2, "prohibited")])
def test_card_for_one_process_at_a_time_is_refused(
    mode: int, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    fake = FakeNvml()
    fake.cards[0]["compute_mode"] = mode
    with pytest.raises(RequestError, match=f"cuda:0 is in compute mode {name}"):
        find("cuda:0", fake=fake)
    (tmp_path / "control").touch()  # under MPS the card has one process with many clients
    assert "cuda:0" in find("cuda:0", fake=fake).known


def test_card_that_cannot_be_read_does_not_stop_the_run() -> None:
    def load() -> Any:
        raise CardUnknownError("nvidia-ml-py is not installed")

    cards_found = find("cuda:0", load=load)
    assert cards_found.unknown == {"cuda:0": "nvidia-ml-py is not installed"}
    assert cards_found.facts == {"cuda:0": CardFacts(unknown="nvidia-ml-py is not installed")}
    assert "does not say which card" in find("cuda:0", identity=lambda _: None).unknown["cuda:0"]
    stranger = Identity(uuid="0", pci_bus_id="0")
    assert "NVML knows no card" in find("cuda:0", identity=lambda _: stranger).unknown["cuda:0"]
