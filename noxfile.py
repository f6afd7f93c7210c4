"""What people and CI run, a function each: ``nox -l`` lists them."""

import os
import sys

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

# The environments are nox's own: let Python keep its bytecode in them. Container images often ask
# it not to, uv compiles none, and compiling PyTorch's Python anew costs every process 6 seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECT = nox.project.load_toml("pyproject.toml")
# After Ctrl-C a partial report is written: nox would kill what writes it after half a second.
GRACE_S = 60


def group(name: str) -> list[str]:
    """The requirements of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, name)


def measure(session: nox.Session, *command: str) -> None:
    """Run a module of ours with what measuring needs, and end as it ends."""
    session.install("-e", ".[measure,gpu]")  # the latter is a small file, idle without a GPU
    try:
        session.run("python", "-m", *command, *session.posargs, interrupt_timeout=GRACE_S)
    except CommandFailed as failure:
        # nox ends with 1 whatever failed; callers tell a failed cell from a wrong request by it.
        sys.exit(getattr(failure, "return_code", None) or 1)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, and write reports; options follow --, for example ``-- --profile quick``."""
    measure(session, "pytest", "bench/suite")


@nox.session
def gate(session: nox.Session) -> None:
    """Judge the code here against a base; options follow --, for example ``-- --base main``."""
    measure(session, "bench", "gate")


@nox.session
def gate_power(session: nox.Session) -> None:
    """Count the gate's own false alarms and misses; options follow --, ``-- --sets 20``, say."""
    measure(session, "bench.power")


@nox.session
def sharpness(session: nox.Session) -> None:
    """Measure what disturbs the ratio of two networks, and what sharpens it."""
    measure(session, "bench.sharpness")


@nox.session
def selfcheck(session: nox.Session) -> None:
    """Measure what the suite can say of itself: bias, overhead, start-up, hand-over, scale."""
    measure(session, "bench.selfcheck")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; options follow --, for example ``-- -k stats``."""
    session.install("-e", ".[measure]", *group("test"))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes: torchvision's classifiers, every network through ONNX."""
    session.install("-e", ".[measure]", *group("test"))
    session.run("python", "-m", "pytest", "-m", "slow", "-s", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install(*group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("-e", ".[measure]", *group("test"), *group("types"))
    session.run("mypy")


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml declares."""
    session.install("--resolution", "lowest-direct", "-e", ".[measure]", *group("test"))
    session.run("python", "-m", "pytest", *session.posargs)
