"""The nox sessions that developers and CI run; ``nox -l`` lists them."""

import os
import shutil
import sys
import urllib.request
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

# Let Python cache bytecode in nox's environments. Container images often disable it, uv does not
# compile, and compiling PyTorch's Python sources takes every process 6 seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECT = nox.project.load_toml("pyproject.toml")
# Options of tests in several processes. pytest-benchmark 5.1 warns that it measures nothing then,
# and a warning is an error. A test that ends its process fails the run at once: pytest-xdist would
# run its file again in a new process, and wait for ever if that ends too.
IN_PROCESSES = ("--benchmark-disable", "--max-worker-restart", "0")
HANG_S = 1200  # longer than a test waits for a process, tests/limits.py
# Time for writing a partial report after Ctrl-C, in seconds. nox's default is half a second.
GRACE_S = 60
# An entry of the service that has the advisories, to see whether it can be reached.
ADVISORY = "https://api.osv.dev/v1/vulns/PYSEC-2023-74"


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, name)


def measure(session: nox.Session, *command: str) -> None:
    """Install what measuring needs, run a module, and exit with its exit code."""
    session.install("-e", ".[measure,gpu]")  # gpu is one small package, unused without a GPU
    try:
        session.run("python", "-m", *command, *session.posargs, interrupt_timeout=GRACE_S)
    except CommandFailed as failure:
        # nox exits with 1 for any failure, but callers need the code: 1 a failed cell, 2 a wrong
        # request.
        sys.exit(getattr(failure, "return_code", None) or 1)


def run_tests(session: nox.Session, *options: str) -> None:
    """Run the tests in two processes more than there are cores, at most four, each with one thread.

    Tests often wait for processes that they start, so others can use the core meanwhile. Files are
    not divided: their tests share live workers and finished runs. They run in the order that
    tests/conftest.py gives them, the longest first.
    """
    count = min(4, (os.cpu_count() or 1) + 2)
    processes = ("-n", str(count), "--dist", "loadfile", "--no-loadscope-reorder", *IN_PROCESSES)
    limit = ("--timeout", str(HANG_S))
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    arguments = (*processes, *limit, *options, *session.posargs)
    session.run("python", "-m", "pytest", *arguments, env=threads)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, and write reports; options follow --, for example ``-- --profile quick``."""
    measure(session, "pytest", "bench/suite")


@nox.session
def gate(session: nox.Session) -> None:
    """Compare the working tree with a base; options follow --, for example ``-- --base main``."""
    measure(session, "bench", "gate")


@nox.session
def gate_power(session: nox.Session) -> None:
    """Count the gate's false alarms and misses; options follow --, for example ``-- --sets 20``."""
    measure(session, "bench.studies.power")


@nox.session
def sharpness(session: nox.Session) -> None:
    """Measure what disturbs the ratio of two networks, and what makes it more precise."""
    measure(session, "bench.studies.sharpness")


@nox.session
def changes(session: nox.Session) -> None:
    """Simulate the search for changes in a history, beside asv's and Apache Otava's."""
    session.install(*group("changes"))
    measure(session, "bench.studies.changes")


@nox.session
def selfcheck(session: nox.Session) -> None:
    """Measure the suite itself: bias, overhead, start-up, hand-over, scale."""
    measure(session, "bench.studies.selfcheck")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; options follow --, for example ``-- -k stats``."""
    session.install("-e", ".[measure]", *group("test"))
    run_tests(session)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that start no worker process, in about eight minutes on two cores."""
    session.install("-e", ".[measure]", *group("test"))
    run_tests(session, "-m", "not slow and not workers")


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes, and quick ones on further networks; CI runs them too."""
    session.install("-e", ".[measure]", *group("test"))
    session.run("python", "-m", "pytest", "-m", "slow", "-s", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Try 10,000 random cases of each kind of file, of options and of settings, in ten minutes."""
    session.install("-e", ".[measure]", *group("test"))
    processes = ("-n", str(os.cpu_count() or 1), "--dist", "load", *IN_PROCESSES)
    cases = {"FUZZ_CASES": os.environ.get("FUZZ_CASES", "10000"), "OMP_NUM_THREADS": "1"}
    session.run("python", "-m", "pytest", "tests/fuzz", *processes, *session.posargs, env=cases)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style, and the files of GitHub Actions."""
    session.install(*group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    # The schemas are part of the package, so this works without a network.
    workflows = map(str, Path(".github/workflows").iterdir())
    for kind, files in {"actions": ["action.yml"], "workflows": workflows}.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.github-{kind}", *files)


@nox.session
def types(session: nox.Session) -> None:
    """Check types in strict mode."""
    session.install("-e", ".[measure]", *group("test"), *group("types"))
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/; a link to nowhere is an error."""
    session.install(*group("docs"))
    # The variable silences a message about the next major version of mkdocs.
    session.run("mkdocs", "build", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml declares."""
    session.install("--resolution", "lowest-direct", "-e", ".[measure]", *group("test"))
    run_tests(session)


@nox.session
def release(session: nox.Session) -> None:
    """Build the distributions into dist/, check them, and run commands of the installed wheel."""
    session.install(*group("release"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--quiet")  # the wheel from the source distribution
    session.run("twine", "check", "--strict", *map(str, Path("dist").glob("googlenet_bench-*")))
    session.run("check-wheel-contents", "dist")
    session.run("python", "-m", "tests.release", "dist")


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of the packages with which the tests run."""
    try:
        urllib.request.urlopen(ADVISORY, timeout=10).close()
    except OSError as error:
        session.skip(f"the advisories of osv.dev cannot be read: {error}")
    session.install("-e", ".[measure]", *group("test"), *group("audit"))
    options = ("--vulnerability-service", "osv", "--skip-editable", "--progress-spinner", "off")
    session.run("pip-audit", *options, *session.posargs)
