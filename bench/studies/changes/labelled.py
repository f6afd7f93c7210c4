"""The series of the package ``otava-test-data``, whose generators label the changes they make."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from bench import optional
from bench.studies.changes.cases import Truth

LENGTH = 200
SIGMA = 5.0
"""Standard deviation of the noise; all levels are about 100."""
# Labels that are no change of level: a detector should report nothing there.
_NO_LEVEL = frozenset({"outlier", "variance", "phase"})

Generator = Callable[..., Any]


def missing() -> str:
    """Return what is not installed, as a sentence; empty if the series can be made."""
    return optional.missing("the labelled series of otava-test-data", ["otava_test_data"])


def patterns() -> Mapping[str, Generator]:
    """Return the generators by name, each a function of a seed; all other values are defaults."""
    from otava_test_data.generators import advanced, basic

    noisy = (
        *(basic.outlier, basic.step_function, basic.regression_fix),
        *(advanced.multiple_changes, advanced.banding, advanced.phase_change),
    )
    silent = (basic.noise_normal, basic.noise_uniform, advanced.variance_change)
    return MappingProxyType(
        {
            **{each.__name__: _seeded(each) for each in silent},
            **{each.__name__: _seeded(each, sigma=SIGMA) for each in noisy},
        }
    )


def series(generator: Generator, count: int) -> Iterator[tuple[list[float], list[Truth]]]:
    """Yield the values and the changes of level of ``count`` series, which differ in the seed."""
    for seed in range(count):
        made = generator(seed=seed)
        yield (
            made.data.tolist(),
            [
                Truth(index=int(change.index), is_up=change.after_value > change.before_value)
                for change in made.change_points
                if change.change_type not in _NO_LEVEL
            ],
        )


def _seeded(generator: Generator, **options: float) -> Generator:
    def make(seed: int) -> Any:
        return generator(length=LENGTH, seed=seed, **options)

    return make
