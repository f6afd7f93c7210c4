import pytest

from bench.doctor import host
from bench.doctor.finding import Finding, State


@pytest.mark.parametrize(
    ("finding", "state", "says"),
    [
        (host.load(0.15, 0.15), State.FINE, "0.15 CPUs"),
        (host.load(0.16, 0.15), State.SPOILS, "voided above 0.15"),
        (host.stolen(0.02), State.FINE, "2.0%"),
        (host.stolen(0.5), State.SPOILS, "50.0%"),
        (host.quota(None, 8, on_gpu=False), State.FINE, "none"),
        (host.quota(8.0, 8, on_gpu=False), State.FINE, "8 CPUs' time"),
        (host.quota(1.5, 2, on_gpu=False), State.SPOILS, "OMP_NUM_THREADS=1"),
        (host.quota(1.5, 1, on_gpu=False), State.FINE, "for 1 threads"),
        (host.quota(0.5, 2, on_gpu=False), State.SPOILS, "iteration: give it more CPUs"),
        (host.quota(2.0, 4, on_gpu=True), State.SPOILS, "iteration: give it more CPUs"),
        (host.governors(["performance"] * 2), State.FINE, "performance"),
        (host.governors(["performance", "schedutil"]), State.SPOILS, "performance, schedutil"),
        (host.huge_pages("always [madvise] never", ("glibc", "2.35")), State.FINE, "madvise"),
        (host.huge_pages("always [madvise] never", ("glibc", "2.4")), State.SPOILS, "2.35 on"),
        (host.huge_pages("always [madvise] never", ("", "")), State.SPOILS, "unknown"),
        (host.huge_pages("[always] madvise never", ("", "")), State.FINE, "always"),
        (host.huge_pages("always madvise [never]", ("glibc", "2.36")), State.SPOILS, "never"),
        (host.accounts(True), State.FINE, "kept"),
        (host.accounts(False), State.SPOILS, "--sets"),
        (host.memory(4 * 2**30), State.FINE, "4.0 GiB"),
        (host.memory(2**30), State.SPOILS, "1.0 GiB"),
        (host.peak(can_be_reset=True), State.FINE, "can be"),
        (host.peak(can_be_reset=False), State.LIMITS, "left blank"),
        (host.compiler("/bin/g++", "g++", "CXX"), State.FINE, "/bin/g++"),
        (host.compiler(None, "clang++", "CXX"), State.LIMITS, "no clang++"),
        (host.headers("/include/Python.h", are_there=True), State.FINE, "/include"),
        (host.headers("/include/Python.h", are_there=False), State.LIMITS, "python3-dev"),
        (host.cache("/here", None), State.FINE, "/here"),
        (host.cache("/tmp/x", None, is_users=False), State.FINE, "no home can be written"),  # noqa: S108 - not opened
        (host.cache("/here", "Read-only file system"), State.LIMITS, "Read-only"),
        (host.unused_card(), State.LIMITS, "--gpus all"),
    ],
)
def test_a_reading_is_well_or_not(finding: Finding | None, state: State, says: str) -> None:
    assert finding is not None
    assert finding.state is state
    assert says in f"{finding.found} {finding.advice}"
    assert bool(finding.advice) is (state is not State.FINE)


def test_what_a_system_does_not_have_is_no_finding() -> None:
    assert host.stolen(None) is None
    assert host.governors([]) is None
    assert host.huge_pages(None, ("glibc", "2.36")) is None
