import pytest

from bench.doctor import host
from bench.doctor.finding import Finding, State


@pytest.mark.parametrize(
    ("finding", "state", "says"),
    [
        (host.load(0.15, 0.15), State.FINE, "0.15 CPUs"),
        (host.load(0.16, 0.15), State.SPOILS, "voided above 0.15"),
        (host.stolen(0.02), State.FINE, "2%"),
        (host.stolen(0.5), State.SPOILS, "50%"),
        (host.quota("max 100000", 8), State.FINE, "none"),
        (host.quota("800000 100000", 8), State.FINE, "8 CPUs' time"),
        (host.quota("150000 100000", 2), State.SPOILS, "OMP_NUM_THREADS=1"),
        (host.quota("50000 100000", 2), State.SPOILS, "OMP_NUM_THREADS=1"),
        (host.governors(["performance"] * 2), State.FINE, "performance"),
        (host.governors(["performance", "powersave"]), State.SPOILS, "performance, powersave"),
        (host.huge_pages("always [madvise] never"), State.FINE, "madvise"),
        (host.huge_pages("always madvise [never]"), State.SPOILS, "never"),
        (host.accounts(True), State.FINE, "kept"),
        (host.accounts(False), State.SPOILS, "--sets"),
        (host.memory(4 * 2**30), State.FINE, "4.0 GiB"),
        (host.memory(2**30), State.SPOILS, "1.0 GiB"),
        (host.compiler("/usr/bin/g++", "g++"), State.FINE, "/usr/bin/g++"),
        (host.compiler(None, "clang++"), State.PREVENTS, "no clang++"),
        (host.cache("/here", None), State.FINE, "/here"),
        (host.cache("/here", "Read-only file system"), State.PREVENTS, "Read-only"),
    ],
)
def test_a_reading_is_well_or_not(finding: Finding, state: State, says: str) -> None:
    assert finding.state is state
    assert says in f"{finding.found} {finding.advice}"
    assert bool(finding.advice) is (state is not State.FINE)


def test_what_a_system_does_not_have_is_no_finding() -> None:
    assert host.quota(None, 2) is None
    assert host.governors([]) is None
    assert host.huge_pages(None) is None
