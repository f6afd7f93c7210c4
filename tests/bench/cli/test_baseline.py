import csv
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.archs.source import Shape
from bench.cells.cell import Cell
from bench.cli import baseline as command
from bench.cli import main
from bench.counts import baseline, baseline_file, count_client
from bench.counts.baseline import RULES, Baseline

Capture = pytest.CaptureFixture[str]

ARCH = "tests.bench.factories:tiny"
CELL = f"{ARCH}/eager/fp32/b1/infer/cpu"
COMPILED = f"{ARCH}/compile/fp32/b1/infer/cpu"
CELLS = ["--archs", ARCH, "--modes", "eager,compile"]
SETTINGS = "[tool.googlenet-bench.gate]\n"
VALUE = 7_005_832
GRAPH_FIELDS = {"graphs", "graph_breaks", "recompiled_graphs"}


class FakeCounter:
    """A fake of the counting process; it returns the configured counts."""

    def __init__(self) -> None:
        self.counts = {cell: dict.fromkeys(RULES, VALUE) for cell in (CELL, COMPILED)}
        self.versions = baseline.versions_here()
        self.cells: list[str] = []
        self.image_size: int | None = 0
        self.input_shape: Shape | None = None
        self.calls: list[str] = []

    @contextmanager
    def counter(
        self, cells: Sequence[Cell], image_size: int | None, input_shape: Shape | None
    ) -> Iterator["FakeCounter"]:
        self.cells = [cell.id for cell in cells]
        self.image_size = image_size
        self.input_shape = input_shape
        yield self

    def steps(self) -> Iterator[Baseline]:
        for step, fields in (("networks", RULES.keys() - GRAPH_FIELDS), ("graphs", set(RULES))):
            self.calls.append(step)
            yield self._of(fields)

    def everything(self) -> Baseline:
        return list(self.steps())[-1]

    def _of(self, fields: set[str]) -> Baseline:
        return Baseline(
            image_size=self.image_size,
            input_shape=self.input_shape,
            versions=self.versions,
            cells={
                cell: {name: counts[name] for name in RULES if name in fields}
                for cell, counts in self.counts.items()
            },
        )


@pytest.fixture
def fake_counter(monkeypatch: pytest.MonkeyPatch) -> FakeCounter:
    fake = FakeCounter()
    monkeypatch.setattr(count_client, "counter", fake.counter)
    return fake


@pytest.fixture
def path(tmp_path: Path, fake_counter: FakeCounter, capsys: Capture) -> Path:
    """Write a baseline of the fake counts and return its path."""
    path = tmp_path / "baseline.json"
    assert main(["baseline", "--output", str(path), *CELLS]) == 0
    capsys.readouterr()
    fake_counter.calls.clear()
    return path


def gate(path: Path, *options: str) -> int:
    return main(["gate", "--static", "--baseline", str(path), *CELLS, *options])


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request and return its single line on stderr."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    return err


def test_there_is_a_column_for_each_count() -> None:
    assert [column.name for column in command.COUNT_COLUMNS] == ["cell", *RULES]


def test_a_baseline_is_written_and_shown(
    tmp_path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    path = tmp_path / "reports" / "baseline.json"
    fake_counter.counts[CELL]["params"] = 12_345
    assert main(["baseline", "--output", str(path), *CELLS]) == 0
    assert fake_counter.cells == [CELL, COMPILED]
    assert baseline_file.read(path).cells == fake_counter.counts
    out = capsys.readouterr().out
    assert "12,345" in out
    assert out.endswith(f"wrote {path}\n")
    assert main(["baseline", "--output", str(path), *CELLS, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"cell": cell, **counts} for cell, counts in fake_counter.counts.items()
    ]


def test_the_default_cells_are_those_of_the_quick_profile(
    fake_counter: FakeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["baseline"]) == 0
    assert fake_counter.cells == [
        f"{arch}/{mode}/fp32/b1/infer/cpu"
        for arch in ("googlenet", "torchvision")
        for mode in ("eager", "compile", "channels_last")
    ]
    assert (tmp_path / "reports" / "baseline.json").exists()


def test_settings_select_the_cells_and_options_override_them(
    fake_counter: FakeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = f"""[tool.googlenet-bench.gate]\narchs = ["{ARCH}"]\nbatch-sizes = [2, 4]\n"""
    (tmp_path / "pyproject.toml").write_text(table)
    assert main(["baseline", "--modes", "eager"]) == 0
    assert fake_counter.cells == [f"{ARCH}/eager/fp32/b{batch}/infer/cpu" for batch in (2, 4)]
    assert main(["baseline", "--modes", "eager", "--batch-sizes", "8"]) == 0
    assert fake_counter.cells == [f"{ARCH}/eager/fp32/b8/infer/cpu"]


def test_settings_are_read_from_the_root_of_the_checkout(
    fake_counter: FakeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)  # noqa: S607
    (tmp_path / "pyproject.toml").write_text(f"""{SETTINGS}archs = ["{ARCH}"]\n""")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    assert main(["baseline", "--modes", "eager"]) == 0
    assert fake_counter.cells == [CELL]


def test_the_project_s_table_names_the_cells_the_size_and_the_file_of_counts(
    fake_counter: FakeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)  # noqa: S607
    (tmp_path / "pyproject.toml").write_text(
        f"""[tool.googlenet-bench]\narchs = ["{ARCH}"]\nmodes = ["eager"]\nimage-size = 64\n"""
        """baseline = "counts.json"\n[tool.googlenet-bench.gate]\nbatch-sizes = [2]\n"""
    )
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    cell = f"{ARCH}/eager/fp32/b2/infer/cpu"
    fake_counter.counts = {cell: fake_counter.counts[CELL]}
    assert main(["baseline"]) == 0
    assert fake_counter.cells == [cell]
    assert fake_counter.image_size == 64
    assert capsys.readouterr().out.endswith("wrote ../counts.json\n")
    assert (tmp_path / "counts.json").exists()
    assert main(["gate", "--static"]) == 0
    assert "Nothing differs from ../counts.json" in capsys.readouterr().out
    assert "image_size" in refused(capsys, "gate", "--static", "--image-size", "32")
    assert "no baseline" in refused(capsys, "gate", "--static", "--baseline", "none.json")


def test_the_shape_must_match_the_baseline(
    fake_counter: FakeCounter, tmp_path: Path, capsys: Capture
) -> None:
    path, shape = str(tmp_path / "baseline.json"), ("--input-shape", "1x28x28")
    assert main(["baseline", "--output", path, *CELLS, *shape]) == 0
    assert (fake_counter.image_size, fake_counter.input_shape) == (None, (1, 28, 28))
    assert main(["gate", "--static", "--baseline", path, *CELLS, *shape]) == 0
    capsys.readouterr()
    line = refused(capsys, "gate", "--static", "--baseline", path, *CELLS)
    assert "image_size is None, but 224 is requested" in line
    other = ("--input-shape", "1x32x32")
    line = refused(capsys, "gate", "--static", "--baseline", path, *CELLS, *other)
    assert "input_shape is (1, 28, 28), but (1, 32, 32) is requested" in line


def test_modes_and_dtypes_that_a_cpu_does_not_run_are_left_out_and_reported(
    fake_counter: FakeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = (
        f"""archs = ["{ARCH}"]\nmodes = ["eager", "channels_last+reduce-overhead", "compile"]"""
    )
    table = f"""{SETTINGS}{chosen}\ndtypes = ["fp16", "fp32"]\n"""
    (tmp_path / "pyproject.toml").write_text(table)
    note = "Not counted, because a CPU does not run them: channels_last+reduce-overhead, fp16."
    assert main(["baseline"]) == 0
    assert note in capsys.readouterr().out
    assert fake_counter.cells == [CELL, COMPILED]
    assert main(["gate", "--static"]) == 0
    assert note in capsys.readouterr().out
    assert main(["gate", "--static", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    line = refused(capsys, "gate", "--static", "--dtypes", "fp16")
    assert "dtype 'fp16' does not run on cpu" in line


@pytest.mark.parametrize(("name", "value"), [("modes", "cudagraphs"), ("dtypes", "fp16")])
def test_settings_with_nothing_that_a_cpu_runs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f"""{SETTINGS}{name} = ["{value}"]\n""")
    line = refused(capsys, "gate", "--static")
    assert f"none of the settings' {name} ({value}): select others with --{name}" in line


def test_invalid_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.googlenet-bench.gate]\narchs = 3\n")
    assert "[tool.googlenet-bench.gate], archs: Expected `array`, got `int`" in refused(
        capsys, "gate", "--static"
    )


def test_options_select_cells_as_in_the_suite(fake_counter: FakeCounter, tmp_path: Path) -> None:
    options = ["--dtypes", "fp32,bf16", "--batch-sizes", "1, 8", "--tasks", "train"]
    path = str(tmp_path / "baseline.json")
    assert main(["baseline", "--output", path, "--archs", ARCH, "--modes", "eager", *options]) == 0
    assert fake_counter.cells == [
        f"{ARCH}/eager/{dtype}/b{batch}/train/cpu" for dtype in ("fp32", "bf16") for batch in (1, 8)
    ]


def test_a_file_that_is_no_baseline_is_not_overwritten(
    tmp_path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    path = tmp_path / "package.json"
    path.write_text('{"name": "other"}', encoding="utf-8")
    line = refused(capsys, "baseline", "--output", str(path), *CELLS)
    assert "format is None, expected 'googlenet-bench baseline'" in line
    assert path.read_text(encoding="utf-8") == '{"name": "other"}'
    assert fake_counter.calls == []


def test_an_unwritable_path_exits_with_one_line(
    tmp_path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "baseline.json"
    assert f"cannot write {path}: " in refused(capsys, "baseline", "--output", str(path), *CELLS)
    assert fake_counter.calls == ["networks", "graphs"]


@pytest.mark.parametrize("table_format", ["rich", "markdown"])
def test_the_gate_passes_if_nothing_differs(
    path: Path, fake_counter: FakeCounter, capsys: Capture, table_format: str
) -> None:
    assert gate(path, "--format", table_format) == 0
    assert fake_counter.calls == ["networks", "graphs"]
    expected = f"Nothing differs from {path}: {2 * len(RULES)} counts of 2 cells are equal.\n"
    assert capsys.readouterr().out == expected


def test_tables_are_empty_if_nothing_differs(path: Path, capsys: Capture) -> None:
    assert gate(path, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert gate(path, "--format", "csv") == 0
    assert capsys.readouterr().out == "cell,field,baseline,now,change,sentence\n"


@pytest.mark.parametrize(("by", "change", "worse"), [(1, "worse", 1), (-1, "better", 0)])
def test_one_parameter_more_or_less_fails_with_a_message(
    path: Path, fake_counter: FakeCounter, capsys: Capture, by: int, change: str, worse: int
) -> None:
    fake_counter.counts[CELL]["params"] += by
    assert gate(path) == 1
    out = capsys.readouterr().out
    sentence = f"{CELL}: params is {VALUE + by:,} but the baseline has {VALUE:,} ({change})"
    assert sentence in out
    count = 2 * (len(RULES) - len(GRAPH_FIELDS))
    assert f"1 of {count} counts differ from {path}, {worse} for the worse." in out
    assert f"Counting stopped there; not made: {2 * len(GRAPH_FIELDS)} counts." in out
    assert fake_counter.calls == ["networks"]
    advice = out.partition("write a new baseline and commit it: googlenet-bench ")[2]
    assert main(shlex.split(advice)) == 0
    assert gate(path) == 0


def test_a_graph_break_fails_with_a_message(
    path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    fake_counter.counts[COMPILED] |= {"graphs": VALUE + 1, "graph_breaks": VALUE + 1}
    assert gate(path, "--format", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    shown = f"is {VALUE + 1:,} but the baseline has {VALUE:,}"
    assert rows == [
        {
            "cell": COMPILED,
            "field": field,
            "baseline": VALUE,
            "now": VALUE + 1,
            "change": change,
            "sentence": f"{COMPILED}: {field} {shown} ({change})",
        }
        for field, change in (("graphs", "changed"), ("graph_breaks", "worse"))
    ]
    assert gate(path, "--format", "csv") == 1
    read = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [row["sentence"] for row in read] == [row["sentence"] for row in rows]
    assert gate(path, "--format", "markdown") == 1
    markdown = capsys.readouterr().out
    assert f"2 of {2 * len(RULES)} counts differ from {path}, 1 for the worse." in markdown
    assert "Counting stopped" not in markdown


def test_another_version_is_reported_even_if_nothing_differs(
    path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    version = fake_counter.versions["torch"]
    fake_counter.versions = {**fake_counter.versions, "torch": "1.0"}
    assert gate(path) == 0
    output = capsys.readouterr().out
    assert output.endswith(f"Note that torch is 1.0 but the baseline has {version}.\n")
    fake_counter.counts[COMPILED]["graph_breaks"] += 1
    line = refused(capsys, "gate", "--static", "--baseline", str(path), *CELLS)
    assert f"torch is 1.0 but the baseline has {version}" in line
    assert f"graph_breaks is {VALUE + 1:,} but the baseline has {VALUE:,}" in line


@pytest.mark.usefixtures("fake_counter")
def test_the_advice_without_a_usable_baseline_repeats_the_options(
    path: Path, capsys: Capture
) -> None:
    missing = path.with_name("missing.json")
    older = path.with_name("older.json")
    older.write_text(json.dumps({"format": baseline_file.FORMAT, "schema_version": 1}))
    for unusable, more in ((missing, ()), (older, ()), (path, ("--image-size", "192"))):
        static = ("gate", "--static", "--baseline", str(unusable), *CELLS, *more)
        advice = refused(capsys, *static).partition("write one and commit it: googlenet-bench ")[2]
        assert main(shlex.split(advice)) == 0
        assert main(static) == 0
        capsys.readouterr()


def test_an_unusable_baseline_exits_with_one_line_before_counting(
    path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    static = ["gate", "--static", *CELLS]
    missing = path.with_name("missing.json")
    assert "there is no baseline" in refused(capsys, *static, "--baseline", str(missing))
    line = refused(capsys, *static, "--baseline", str(path), "--batch-sizes", "8")
    assert f"has 2 cells, and the request has 2: it lacks {ARCH}/eager/fp32/b8/infer/cpu" in line
    baseline_file.write(replace(baseline_file.read(path), image_size=192), path)
    line = refused(capsys, *static, "--baseline", str(path))
    assert "image_size is 192, but 224 is requested" in line
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    assert "is not JSON" in refused(capsys, *static, "--baseline", str(path))
    assert fake_counter.calls == []


def test_the_image_size_must_match_the_baseline(
    tmp_path: Path, fake_counter: FakeCounter, capsys: Capture
) -> None:
    path, larger = tmp_path / "baseline.json", ("--image-size", "299")
    assert main(["baseline", "--output", str(path), *CELLS, *larger]) == 0
    assert baseline_file.read(path).image_size == fake_counter.image_size == 299
    assert gate(path, *larger) == 0
    capsys.readouterr()
    line = refused(capsys, "gate", "--static", "--baseline", str(path), *CELLS)
    assert "image_size is 299, but 224 is requested" in line
    line = refused(capsys, "baseline", *CELLS, "--image-size", "0")
    assert "--image-size must be at least 1, not 0" in line


def test_gate_without_options_mentions_static(capsys: Capture) -> None:
    assert "--static for the committed counts" in refused(capsys, "gate")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--archs", "gogglenet"], "did you mean 'googlenet'?"),
        (["--modes", "compiled"], "did you mean 'compile'?"),
        (["--dtypes", "fp16"], "dtype 'fp16' does not run on cpu; available there: fp32, bf16"),
        (["--batch-sizes", "0"], "a batch holds at least one image, not 0"),
        (["--tasks", "trane"], "did you mean 'train'?"),
    ],
)
@pytest.mark.parametrize("command", [["baseline"], ["gate", "--static"]])
def test_an_invalid_cell_exits_with_one_line(
    capsys: Capture, command: list[str], options: list[str], part: str
) -> None:
    assert part in refused(capsys, *command, *options)


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--archs", "googlenet,,x", "'googlenet,,x' has an empty name between its commas"),
        ("--batch-sizes", "1,two", "--batch-sizes takes a whole number, not 'two'"),
    ],
)
def test_an_invalid_list_has_exit_code_2(
    capsys: Capture, option: str, value: str, part: str
) -> None:
    assert part in refused(capsys, "baseline", option, value)


NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size=7, stride=4, bias={bias})
        self.fc = nn.Linear(8, 1000)

    def forward(self, x):
        print("output of a network")
        return self.fc({pooled})

def net():
    return Net()
"""
QUIET = NETWORK.replace('        print("output of a network")\n', "")
POOLED = "self.conv(x).mean(dim=(2, 3))"


@pytest.mark.workers
def test_a_real_network_with_an_added_parameter_and_a_graph_break(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "path", list(sys.path)
    )  # the command line adds the current folder to it
    for name in ("bench", "googlenet"):  # a user's folders may have the same names
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('not this one')\n")
    module = tmp_path / "counted_network.py"
    cell = "counted_network:net/compile/fp32/b1/infer/cpu"
    cells = ["--archs", "counted_network:net", "--modes", "compile", "--format", "json"]

    module.write_text(QUIET.format(bias=False, pooled=POOLED))
    assert main(["baseline", *cells]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    params = 7 * 7 * 3 * 8 + 8 * 1000 + 1000
    assert row["cell"] == cell
    assert (row["params"], row["weights_bytes"]) == (params, 4 * params)
    assert [row[name] for name in ("graphs", "graph_breaks", "recompiled_graphs")] == [1, 0, 0]

    module.write_text(QUIET.format(bias=True, pooled=POOLED))
    assert main(["gate", "--static", *cells]) == 1
    rows = {row["field"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == {"params", "params_with_aux", "weights_bytes"}
    assert (rows["params"]["cell"], rows["params"]["now"]) == (cell, params + 8)

    module.write_text(NETWORK.format(bias=False, pooled=POOLED))
    assert main(["gate", "--static", *cells]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["sentence"] == f"{cell}: graph_breaks is 1 but the baseline has 0 (worse)"

    module.write_text(QUIET.format(bias=False, pooled="x.no_such_method()"))
    line = refused(capsys, "gate", "--static", *cells)
    assert "cannot count counted_network:net: AttributeError: " in line
