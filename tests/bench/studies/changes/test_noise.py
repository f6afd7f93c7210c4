import math
from pathlib import Path

import numpy as np
import pytest

from bench.errors import RequestError
from bench.studies.changes import noise
from bench.studies.changes.command import DATA
from bench.studies.changes.noise import NOISES, SETS, Measured

ROOT = Path(__file__).resolve().parents[4]

DRAWS = 100_000


@pytest.fixture(scope="module")
def measured() -> Measured:
    return noise.read(ROOT / DATA)


def test_our_own_sets_and_rounds_are_read(measured: Measured) -> None:
    assert len(measured.sets) == 3  # modes
    assert all(abs(values.mean()) < 1e-12 for values in measured.sets)
    assert sum(map(len, measured.rounds)) > 1000


def test_the_noise_of_a_run_is_that_of_a_mean_of_its_sets() -> None:
    sets = np.array([-1.0, 1.0] * 50)
    expected = sets.std(ddof=1) / math.sqrt(SETS)
    assert Measured(sets=(sets,), rounds=()).run_sd == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "times"),
    [("normal", 1.0), ("heavy tails", 1.0), ("noisy", 3.0), ("autocorrelated", 1.0)],
)
def test_each_noise_has_its_standard_deviation(name: str, times: float, measured: Measured) -> None:
    values = NOISES[name](np.random.default_rng(1), measured, DRAWS)
    assert values.mean() == pytest.approx(0, abs=0.02 * measured.run_sd * times)
    assert values.std() == pytest.approx(times * measured.run_sd, rel=0.1)


def test_resampled_runs_are_means_of_successive_sets() -> None:
    sets = np.arange(20.0)
    values = noise.resampled(np.random.default_rng(1), Measured(sets=(sets,), rounds=()), 50)
    possible = {sets[first : first + SETS].mean() for first in range(20 - SETS + 1)}
    assert set(values) <= possible


def test_autocorrelated_values_resemble_the_one_before(measured: Measured) -> None:
    values = noise.autocorrelated(np.random.default_rng(1), measured, 20_000)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0.5, abs=0.03)


def test_a_folder_without_data_is_refused_with_a_way_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no A/A sets: measure some with `nox"):
        noise.read(tmp_path)
