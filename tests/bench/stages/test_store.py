import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import RequestError
from bench.stages import store, table
from tests.bench.stages import made

MAIN = """
import sys
from pathlib import Path

for absent in ("torch", "torchvision", "fvcore", "psutil", "cpuinfo", "pytest"):
    sys.modules[absent] = None
from bench.stages import store, table

print(table.render("markdown", store.read(Path(sys.argv[1]))))
"""


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    rows = table.frame([made.small(), made.googlenet()])
    path = store.write(rows, tmp_path / "reports")
    assert path == tmp_path / "reports" / "stages.csv"
    pd.testing.assert_frame_equal(store.read(path), rows, check_dtype=False)


def test_older_file_without_provenance_is_read(tmp_path: Path) -> None:
    path = store.write(table.frame([made.small()]), tmp_path)
    old = pd.read_csv(path).drop(columns=list(store.PROVENANCE))
    old.to_csv(path, index=False)
    assert set(store.read(path)["torch"]) == {""}
    assert "32×32, 3 sets\n" in table.render("rich", store.read(path))


def test_existing_file_is_replaced_completely(tmp_path: Path) -> None:
    store.write(table.frame([made.googlenet()]), tmp_path)
    path = store.write(table.frame([made.small()]), tmp_path)
    assert set(store.read(path)["arch"]) == {"small"}
    assert [file.name for file in tmp_path.iterdir()] == [store.FILE]


def test_no_value_is_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    rows = table.frame([made.small()]).assign(arch="=1+1")
    assert "\n'=1+1," in store.write(rows, tmp_path).read_text()


def test_figure_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    rows = table.frame([made.small()]).assign(latency_s="quick")
    path = store.write(rows, tmp_path)
    with pytest.raises(RequestError, match=r"cannot read .*stages\.csv: .*quick"):
        store.read(path)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "No such file"),
        ("", "cannot read"),
        ("arch,mode\ngooglenet,eager\n", "its columns are arch, mode, but arch, mode, dtype"),
    ],
)
def test_file_that_is_not_a_table_of_stages_is_refused(
    tmp_path: Path, content: str | None, part: str
) -> None:
    path = tmp_path / "other.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RequestError, match=part):
        store.read(path)


def test_file_is_read_and_shown_without_torch(tmp_path: Path) -> None:
    path = store.write(table.frame([made.small()]), tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MAIN, str(path)],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The stages add up to 469 ms" in done.stdout
