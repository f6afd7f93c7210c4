"""What a release is refused for; ``nox -s release`` builds and uses a real one."""

import io
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import yaml

import bench
from tests import release
from tests.release import ROOT

TRACKED = (
    *("README.md", "bench/__init__.py", "bench/gpu.py", "bench/studies/power.py"),
    *("googlenet/model.py", "pytest_googlenet_bench.py", "tests/test_release.py"),
)
OF_WHEEL = ("bench/__init__.py", "googlenet/model.py", "pytest_googlenet_bench.py")


def _sdist(folder: Path, *names: str) -> Path:
    path = folder / "googlenet_bench-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"googlenet_bench-1/{name}"), io.BytesIO())
    return path


def _wheel(folder: Path, *names: str, description: str = "") -> Path:
    path = folder / "googlenet_bench-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
        archive.writestr(
            "googlenet_bench-1.dist-info/METADATA",
            f"Metadata-Version: 2.4\nName: googlenet-bench\n\n{description}",
        )
    return path


def test_a_source_distribution_has_the_tracked_files_and_no_others(tmp_path: Path) -> None:
    assert release.sdist_faults(_sdist(tmp_path, *TRACKED, "PKG-INFO"), TRACKED) == []
    file = _sdist(tmp_path, *TRACKED[1:], "PKG-INFO", "mine.txt")
    assert release.sdist_faults(file, TRACKED) == [
        f"{file.name} lacks README.md",
        f"{file.name} has mine.txt, which is not expected",
    ]


def test_a_wheel_has_the_packages_without_the_studies(tmp_path: Path) -> None:
    assert release.wheel_faults(_wheel(tmp_path, *OF_WHEEL), TRACKED) == []
    file = _wheel(tmp_path, *OF_WHEEL[1:], "bench/studies/power.py")
    assert release.wheel_faults(file, TRACKED) == [
        f"{file.name} lacks bench/__init__.py",
        f"{file.name} has bench/studies/power.py, which is not expected",
    ]


def test_the_description_of_a_wheel_has_no_relative_link(tmp_path: Path) -> None:
    text = "[here](docs/words.md), [there](https://example.org)"
    file = _wheel(tmp_path, *OF_WHEEL, description=text)
    assert release.wheel_faults(file, TRACKED) == [
        f"{file.name}: the description links to docs/words.md"
    ]


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == bench.__version__


def test_the_changelog_begins_with_what_is_not_released() -> None:
    """After it come the releases, the most recent first; that is the version of the package."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert [heading.split(" ")[0] for heading in headings[1:2]] in ([], [bench.__version__])


def test_every_python_from_the_lowest_on_has_a_classifier() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = int(project["requires-python"].removeprefix(">=3."))
    found = [
        int(each.rpartition(".")[2])
        for each in project["classifiers"]
        if each.startswith("Programming Language :: Python :: 3.")
    ]
    assert found == list(range(lowest, lowest + len(found)))
    assert found
