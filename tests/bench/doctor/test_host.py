import pytest

from bench.doctor import host
from bench.doctor.finding import Finding, Severity
from bench.machine.busiest import Busiest, BusyProcess

RIVAL = Busiest(processes=(BusyProcess(pid=7, name="rival", cpus=1.0),))


@pytest.mark.parametrize(
    ("finding", "state", "text"),
    [
        (host.load([0.02, 0.15, 0.0], 0.15, RIVAL), Severity.FINE, "other processes use 0.15 CPUs"),
        (host.load([0.0, 0.16, 0.0], 0.15, RIVAL), Severity.SPOILS, "voided above 0.15"),
        (
            host.load([0.0, 1.5, 0.2], 0.15, RIVAL),
            Severity.SPOILS,
            "other processes use 1.50 CPUs (above 0.15 in 2 of 3 seconds); the busiest, with the "
            "CPUs that each uses: process 7 (rival) 1.0",
        ),
        (host.stolen(0.02), Severity.FINE, "2.0%"),
        (host.stolen(0.5), Severity.SPOILS, "50.0%"),
        (host.quota(None, 8, on_gpu=False), Severity.FINE, "none"),
        (host.quota(8.0, 8, on_gpu=False), Severity.FINE, "the time of 8 CPUs"),
        (host.quota(1.5, 2, on_gpu=False), Severity.SPOILS, "OMP_NUM_THREADS=1"),
        (host.quota(1.5, 1, on_gpu=False), Severity.FINE, "for 1 thread"),
        (host.quota(0.5, 2, on_gpu=False), Severity.SPOILS, "iteration: raise the quota"),
        (host.quota(2.0, 4, on_gpu=True), Severity.SPOILS, "iteration: raise the quota"),
        (host.governors(["performance"] * 2), Severity.FINE, "performance"),
        (host.governors(["performance", "schedutil"]), Severity.SPOILS, "performance, schedutil"),
        (host.huge_pages("always [madvise] never", ("glibc", "2.35")), Severity.FINE, "madvise"),
        (
            host.huge_pages("always [madvise] never", ("glibc", "2.4")),
            Severity.SPOILS,
            "2.35 or later",
        ),
        (host.huge_pages("always [madvise] never", ("", "")), Severity.SPOILS, "unknown"),
        (host.huge_pages("[always] madvise never", ("", "")), Severity.FINE, "always"),
        (host.huge_pages("always madvise [never]", ("glibc", "2.36")), Severity.SPOILS, "never"),
        (host.accounts(True), Severity.FINE, "available"),
        (host.accounts(False), Severity.SPOILS, "--sets"),
        (host.memory(4 * 2**30), Severity.FINE, "4.0 GiB"),
        (host.memory(2**30), Severity.SPOILS, "1.0 GiB"),
        (host.peak(can_be_reset=True), Severity.FINE, "can be"),
        (host.peak(can_be_reset=False), Severity.LIMITS, "left blank"),
        (host.compiler("/bin/g++", "g++", "CXX"), Severity.FINE, "/bin/g++"),
        (host.compiler(None, "clang++", "CXX"), Severity.LIMITS, "no clang++"),
        (host.headers("/include/Python.h", are_there=True), Severity.FINE, "/include"),
        (host.headers("/include/Python.h", are_there=False), Severity.LIMITS, "python3-dev"),
        (host.cache("/here", None), Severity.FINE, "/here"),
        (host.cache("/tmp/x", None, is_users=False), Severity.FINE, "no home folder is writable"),  # noqa: S108 - not opened
        (host.cache("/here", "Read-only file system"), Severity.LIMITS, "Read-only"),
        (host.unused_card(), Severity.LIMITS, "--gpus all"),
    ],
)
def test_reading_has_the_expected_severity(
    finding: Finding | None, state: Severity, text: str
) -> None:
    assert finding is not None
    assert finding.state is state
    assert text in f"{finding.found} {finding.advice}"
    assert bool(finding.advice) is (state is not Severity.FINE)


def test_missing_property_of_the_system_is_not_a_finding() -> None:
    assert host.stolen(None) is None
    assert host.governors([]) is None
    assert host.huge_pages(None, ("glibc", "2.36")) is None


def test_verdict_says_whether_the_machine_can_measure() -> None:
    spoils = host.memory(2**30)
    assert host.verdict([spoils, host.load([0.1], 0.15, RIVAL)]) == "This machine can measure."
    busy = host.load([1.5], 0.15, RIVAL)
    assert host.verdict([spoils, busy]) == (
        "This machine is too busy to measure: other processes use 1.50 CPUs (above 0.15 in 1 of 1 "
        "second); the busiest, with the CPUs that each uses: process 7 (rival) 1.0."
    )
    prevents = Finding(what="worker on cpu", found="none", state=Severity.PREVENTS, advice="x")
    assert host.verdict([busy, prevents]) == "This machine cannot measure: see worker on cpu."
