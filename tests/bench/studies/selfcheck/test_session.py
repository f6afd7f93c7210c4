import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records import store
from bench.studies.selfcheck import session
from tests.bench import runs


def test_pytest_benchmarks_json_agrees_with_the_run_file(tmp_path: Path) -> None:
    run = runs.small()
    run = replace(run, cells=tuple(record for record in run.cells if record.failure is None))
    session.replay(run, tmp_path / "benchmark.json")
    written = json.loads((tmp_path / "benchmark.json").read_text())["benchmarks"]
    expected = json.loads(json.dumps(store.to_json(run)))["benchmarks"]
    names = ("group", "param", "extra_info", "stats")
    assert [[entry[name] for name in names] for entry in written] == [
        [entry[name] for name in names] for entry in expected
    ]


def test_a_failed_cell_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"TESTS_FAILED(?s:.*)not a heading"):
        session.replay(runs.small(), tmp_path / "benchmark.json")
