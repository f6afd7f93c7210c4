"""Whatever is in a file or an option, the answer is a result or a sentence, and never a traceback.

``nox -s fuzz`` tries 10,000 random cases of each; the tests a few fixed ones.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.api import planning, project
from bench.api.measure_request import MeasureRequest
from bench.api.option import declared, read
from bench.cli import main
from bench.compare import pytest_benchmark as shown_report
from bench.counts import baseline, baseline_file
from bench.errors import RequestError
from bench.gate.decision import Gate
from bench.printable import printable
from bench.records import journal, journal_lines, pytest_benchmark, recovery, store
from bench.records.record import RunRecord
from bench.report import files, frame
from tests.bench import runs
from tests.bench.records.test_journal import EVENTS
from tests.bench.records.test_recovery import SOUND
from tests.fuzz.mutations import TEXTS, VALUES, mutated

CASES = os.environ.get("FUZZ_CASES")
fuzz = settings(
    max_examples=int(CASES or "25"),
    derandomize=CASES is None,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[*HealthCheck],
)
ENCODER = msgspec.json.Encoder()
RUNS = [store.to_json(run) for run in (runs.small(), runs.gpu(), runs.fitted())]
JOURNALS = [[json.loads(ENCODER.encode(event)) for event in each] for each in (SOUND, EVENTS)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of its own, in which nothing else may be left behind."""
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    yield
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"b"}
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"c"}


def answer(asked: Callable[[], Any]) -> Any:
    """Return what is asked, or None if it is refused in a sentence."""
    try:
        return asked()
    except RequestError as error:
        sentence = str(error)
        assert sentence
        assert printable(sentence) == sentence
        return None


def shown(run: RunRecord) -> None:
    """Show a run as the command report does, without its pictures."""
    frame.summary(run)
    if run.gate is not None:
        answer(lambda: Gate.from_run(run).exit_code)


@fuzz
@given(content=st.sampled_from(RUNS).flatmap(mutated))
def test_run_files(content: Any) -> None:
    path = Path("run.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    run = answer(lambda: store.read(path))
    if run is not None:
        shown(run)


@settings(fuzz, max_examples=max(3, fuzz.max_examples // 100))
@given(content=st.sampled_from(RUNS).flatmap(mutated))
def test_reports(content: Any) -> None:
    path = Path("run.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    run = answer(lambda: store.read(path))
    if run is not None:
        answer(lambda: files.write(run, Path("report")))


@fuzz
@given(content=st.sampled_from(JOURNALS).flatmap(mutated))
def test_journals(content: Any) -> None:
    path = Path(journal.FILE)
    checksum, lines = 0, []
    for event in content if isinstance(content, list) else [content]:
        line, checksum = journal_lines.sealed(json.dumps(event).encode(), checksum)
        lines.append(line + b"\n")
    path.write_bytes(b"".join(lines))
    recovered = answer(lambda: recovery.recover(path))
    if recovered is not None:
        shown(recovered.outcome.run_record())


@fuzz
@given(content=st.binary(max_size=200), file=st.sampled_from(["run.json", journal.FILE]))
def test_files_of_any_bytes(content: bytes, file: str) -> None:
    Path(file).write_bytes(content)
    read_file = recovery.recover if file == journal.FILE else store.read
    assert answer(lambda: read_file(Path(file))) is None


BASELINE = {
    "format": baseline_file.FORMAT,
    "schema_version": baseline_file.SCHEMA_VERSION,
    "versions": {"python": "3.11", "torch": "2.15.0", "torchvision": "0.30.0", "counter": "1"},
    "image_size": None,
    "input_shape": None,
    "cells": {
        "googlenet/eager/fp32/b1/infer/cpu": dict.fromkeys(baseline.RULES, 7),
    },
}


@fuzz
@given(content=mutated(BASELINE))
def test_baselines(content: Any) -> None:
    path = Path("baseline.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    stored = answer(lambda: baseline_file.read(path))
    if stored is not None:
        asdict(stored)
        [*baseline.compare(stored, stored)]
        baseline.lower_bounds(stored)


OF_PYTEST_BENCHMARK = {
    "machine_info": {"node": "x", "cpu": {"brand_raw": "A", "count": 2}, "system": "Linux"},
    "commit_info": {"id": "1" * 40, "dirty": False, "branch": "main"},
    "benchmarks": [
        {
            "group": group,
            "fullname": f"test_a.py::{name}",
            "stats": {
                **dict.fromkeys(("median", "q1", "q3", "iqr"), 0.5),
                "rounds": 5,
                "iterations": 1,
            },
        }
        for group, name in ((None, "test_a"), ("g", "test_b[x]"))
    ],
    "datetime": "2026-01-02T03:04:05",
}


@fuzz
@given(
    content=mutated(OF_PYTEST_BENCHMARK), form=st.sampled_from(["rich", "markdown", "csv", "json"])
)
def test_files_of_pytest_benchmark(content: Any, form: str) -> None:
    path = Path("theirs.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    read_file = answer(lambda: pytest_benchmark.read(path))
    if read_file is not None:
        shown_report.render(form, path, read_file)


OPTIONS = declared(MeasureRequest)
WORDS = st.one_of(
    TEXTS,
    st.sampled_from(
        ["googlenet", "googlenet,torchvision", "torchvision:resnet*", "a.py:b?c=1", "x@0x1x2"]
    ),
    st.sampled_from(["eager", "compile+channels_last", "fp32,bf16", "1,2", "0", "-1", "1e999"]),
    st.sampled_from(["cuda:all", "cpu", "train", "quick", "nan", "inf", "1x28x28", "warm", "ray"]),
)


@fuzz
@given(given_options=st.dictionaries(st.sampled_from([*OPTIONS]), WORDS, max_size=4))
def test_options(given_options: dict[str, str]) -> None:
    values: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}
    for name, text in given_options.items():
        values[name] = True if values[name] is False else text
    answer(lambda: planning.make_plan(read(MeasureRequest, values.get)))


@fuzz
@given(arguments=st.lists(WORDS, max_size=3), command=st.sampled_from(["report", "compare"]))
def test_commands_that_read_files(arguments: list[str], command: str) -> None:
    try:
        code = main([command, "--", *arguments])
    except SystemExit as error:  # of argparse
        code = error.code if isinstance(error.code, int) else 1
    assert code == 2


KEYS = st.one_of(
    TEXTS,
    st.sampled_from(
        ["archs", "modes", "dtypes", "batch-sizes", "tasks", "image-size", "input-shape"]
    ),
    st.sampled_from(["foreign-cpus", "baseline", "history", "gate", "accuracy", "exceptions"]),
    st.sampled_from(["delta", "alpha", "most-sets", "budget", "cells", "reason", "expires"]),
)
TABLES = st.dictionaries(KEYS, st.one_of(VALUES, st.lists(WORDS, max_size=2)), max_size=4)


@fuzz
@given(table=TABLES, gate=TABLES, exception=TABLES)
def test_settings(table: dict[str, Any], gate: dict[str, Any], exception: dict[str, Any]) -> None:
    content = {**table, "gate": {**gate, "exceptions": [exception]}} if gate else table
    Path("pyproject.toml").write_bytes(_toml({"tool": {"googlenet-bench": content}}))
    found = answer(lambda: project.read(Path()))
    if found is not None:
        filled = project.fill(MeasureRequest(), found)
        answer(lambda: planning.make_plan(filled))


def _toml(content: Any) -> bytes:
    """Return content as TOML, which has no null and only numbers of 64 bits."""
    return msgspec.toml.encode(_without_null(content))


def _without_null(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_null(each) for key, each in content.items() if each is not None}
    if isinstance(content, list):
        return [_without_null(each) for each in content if each is not None]
    if isinstance(content, int) and not -(2**63) <= content < 2**63:
        return 7
    if isinstance(content, str):
        return content.encode("utf-8", "replace").decode()
    return content
