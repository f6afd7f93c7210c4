from typing import Any

import pytest

from bench.machine import cards
from bench.machine.cards import Cards
from bench.machine.driver import Identity
from bench.machine.nvml import CardUnknownError
from bench.names import RequestError
from tests.bench.fake_nvml import IDENTITIES, UUIDS, FakeNvml

STRANGER = "process 4242 (python3) with 2,344 MiB"  # of the second card; the file has bytes


def find(
    *devices: str, fake: FakeNvml | None = None, allow_shared: bool = False, **given: Any
) -> Cards:
    return cards.find(
        devices,
        allow_shared=allow_shared,
        **{
            "load": lambda: fake or FakeNvml(),
            "identity": IDENTITIES.__getitem__,
            "sleep": lambda _: None,
            **given,
        },
    )


def test_a_cpu_has_no_card_and_nvml_is_not_even_loaded() -> None:
    def load() -> Any:
        raise AssertionError("asked for")

    found = find("cpu", "cpu", load=load)
    assert (found.known, found.unknown, found.facts) == ({}, {}, {})


def test_a_device_is_its_card_by_cuda_s_numbering() -> None:
    fake = FakeNvml()
    fake.cards[1]["processes"]["Compute"] = []
    fake.cards[1]["memory"]["used"] = 0
    fake.cards.reverse()
    found = find("cuda", "cuda:1", "cuda", fake=fake)
    assert {name: facts["uuid"] for name, facts in found.facts.items()} == {
        "cuda": UUIDS[0],
        "cuda:1": UUIDS[1],
    }
    assert not found.shared
    assert found.known["cuda"].allowed == frozenset()


def test_others_on_a_card_refuse_the_run_by_name() -> None:
    with pytest.raises(RequestError) as caught:
        find("cuda:0", "cuda:1")
    message = str(caught.value)
    assert message.startswith(f"cuda:1 is used by others: {STRANGER}. ")
    assert "--allow-shared" in message


def test_memory_of_nobody_refuses_it_too() -> None:
    fake = FakeNvml()
    fake.cards[0]["memory"]["used"] = 3 * 2**30
    with pytest.raises(RequestError, match="3,072 MiB of nobody that the driver lists"):
        find("cuda:0", fake=fake)


def test_what_was_allowed_is_remembered() -> None:
    found = find("cuda:0", "cuda:1", allow_shared=True)
    assert found.shared == {"cuda:1": (STRANGER,)}
    assert {name: card.allowed for name, card in found.known.items()} == {
        "cuda:0": frozenset(),
        "cuda:1": frozenset({4242}),
    }
    assert [card.energy_is_ours for card in found.known.values()] == [True, False]


def test_the_last_run_s_workers_may_take_a_moment_to_go() -> None:
    fake, slept = FakeNvml(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        fake.cards[1]["processes"]["Compute"] = []
        fake.cards[1]["memory"]["used"] = 0

    assert not find("cuda:1", fake=fake, sleep=sleep).shared
    assert slept == [cards.SETTLE_S]


def test_a_divided_card_s_energy_is_not_only_ours() -> None:
    fake = FakeNvml()
    fake.cards[0]["mig"] = [1, 1]
    assert not find("cuda:0", fake=fake).known["cuda:0"].energy_is_ours


@pytest.mark.parametrize(("mode", "name"), [(3, "exclusive_process"), (2, "prohibited")])
def test_a_card_for_one_process_at_a_time_is_refused(
    mode: int, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    fake = FakeNvml()
    fake.cards[0]["compute_mode"] = mode
    with pytest.raises(RequestError, match=f"cuda:0 is in compute mode {name}"):
        find("cuda:0", fake=fake)
    (tmp_path / "control").touch()  # MPS is one process, and others its clients
    assert "cuda:0" in find("cuda:0", fake=fake).known


def test_a_card_that_nobody_knows_does_not_stop_the_run() -> None:
    def load() -> Any:
        raise CardUnknownError("nvidia-ml-py is not installed")

    found = find("cuda:0", load=load)
    assert found.unknown == {"cuda:0": "nvidia-ml-py is not installed"}
    assert found.facts == {"cuda:0": {"unknown": "nvidia-ml-py is not installed"}}
    assert "does not say which card" in find("cuda:0", identity=lambda _: None).unknown["cuda:0"]
    stranger = Identity(uuid="0", pci_bus_id="0")
    assert "NVML knows no card" in find("cuda:0", identity=lambda _: stranger).unknown["cuda:0"]
