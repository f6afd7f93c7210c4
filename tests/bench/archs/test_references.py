"""Networks named by reference: files, arguments, patterns, shapes, and libraries of networks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from rich.console import Console
from torch import nn

from bench import archs, measure, names
from bench.api.progress import TerminalProgress
from bench.archs import arguments, library_names, source_file
from bench.archs.source import Arch
from bench.archs.timm import TIMM
from bench.cells import plan_values
from bench.cells.cell import Cell, arch_of
from bench.cells.inputs import Drawing
from bench.errors import RequestError
from googlenet.variants import VARIANTS

FACTORIES = "tests.bench.factories"
FILE = "tests/bench/tiny.py"
ROOT = Path(__file__).resolve().parents[3]


def _classes(name: str) -> int:
    """Return the number of logits of an arch on its own images."""
    arch = archs.find(name)
    model = arch.build(False).eval()
    with torch.inference_mode():
        logits: torch.Tensor = model(*Drawing(arch, None)(1))
    return logits.shape[1]


@pytest.mark.parametrize(
    "name",
    [
        "googlenet?num_classes=7@64",
        "torchvision?num_classes=7@64",
        "torchvision:resnet18?num_classes=7@64",
        "torchvision:googlenet?num_classes=7@64",
        "timm:resnet10t?num_classes=7@64",
        "tests.bench.tiny:net?classes=7",
        f"{FILE}:net?classes=7",
    ],
)
def test_arguments_reach_the_function_that_builds_a_network(name: str) -> None:
    assert archs.find(name).name == name
    assert _classes(name) == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net", {}),
        ("net?a=1&b=2.5", {"a": 1, "b": 2.5}),
        ("net?a=True&b=None", {"a": True, "b": None}),
        ("net?a=[2,2]&b=(1,)", {"a": [2, 2], "b": (1,)}),
        ("net?a=relu&b='1'", {"a": "relu", "b": "1"}),
        ("net?a=", {"a": ""}),
        ("net?a=x=y", {"a": "x=y"}),
    ],
)
def test_values_are_literals_of_python_or_texts(text: str, expected: dict[str, object]) -> None:
    plain, given = arguments.split(text)
    assert plain == "net"
    assert given == expected
    assert list(map(type, given.values())) == list(map(type, expected.values()))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("googlenet?", "expected KEY=VALUE pairs separated by &, not ''"),
        ("googlenet?7", "expected KEY=VALUE pairs separated by &, not '7'"),
        ("googlenet?a=1&&b=2", "expected KEY=VALUE pairs separated by &, not ''"),
        ("googlenet?a b=1", "expected KEY=VALUE pairs separated by &, not 'a b=1'"),
        ("googlenet?a=1&a=2", "gives a twice"),
    ],
)
def test_arguments_of_another_form_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        archs.find(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("googlenet?classes=7", "with the arguments classes=7: TypeError: .*'classes'"),
        ("torchvision:resnet18?depth=7", "with the arguments depth=7: TypeError: .*'depth'"),
        ("torchvision:resnet18?weights=DEFAULT", "cannot have weights: the suite chooses it"),
        ("timm:resnet10t?pretrained=True", "cannot have pretrained: the suite chooses it"),
        ("googlenet?aux=True", "cannot have aux: the suite chooses it"),
        ("tests.bench.tiny:net?depth=7", r"tiny:net\(depth=7\) raised TypeError: .*'depth'"),
    ],
)
def test_arguments_that_a_network_does_not_have_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        archs.find(name).build(False)


def test_commas_in_brackets_do_not_separate_names() -> None:
    text = "a:b?x=[1,2]&y=(3,4), c ,d:e?z=[5]"
    assert names.listed(text, "--archs") == ("a:b?x=[1,2]&y=(3,4)", "c", "d:e?z=[5]")


def _file(folder: Path, code: str, name: str = "nets.py") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(code)
    return path


def test_two_files_of_one_name_are_two_modules_that_find_their_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for folder, layer in (("one", "Linear"), ("two", "Bilinear")):
        _file(tmp_path / folder, f"from torch.nn import {layer} as Layer\n", "parts_of_net.py")
        _file(tmp_path / folder, "import parts_of_net\n\nnet = parts_of_net.Layer\n")
    one, two = (f"{tmp_path}/{folder}/nets.py:net" for folder in ("one", "two"))
    linear = archs.find(f"{one}?in_features=3&out_features=2").build(False)
    assert isinstance(linear, nn.Linear)
    assert linear.in_features == 3
    bilinear = archs.find(f"{two}?in1_features=3&in2_features=3&out_features=2").build(False)
    assert isinstance(bilinear, nn.Bilinear)
    again = archs.find(f"{one}?in_features=4&out_features=2").build(False)
    assert isinstance(again, nn.Linear)


@pytest.mark.parametrize("package", ["bench", "nets"])
def test_a_file_in_a_package_imports_its_siblings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """Also from packages around it, and from one with the name of the suite's."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    inner = tmp_path / package / "inner"
    for folder in (inner.parent, inner):
        _file(folder, "raise RuntimeError('not run')\n", "__init__.py")
    _file(inner.parent, "from torch import nn\nLAYER = nn.Identity\n", "outer_blocks.py")
    _file(inner, "from ..outer_blocks import LAYER\n", "blocks.py")
    path = _file(inner, "from .blocks import LAYER as net\nfrom . import blocks\n")
    assert isinstance(archs.find(f"{path}:net").build(False), nn.Identity)
    assert source_file.load(str(path)) is source_file.load(str(path))


@pytest.mark.parametrize("module", ["bench.blocks", "bench.stats"])
def test_a_file_that_imports_its_own_bench_absolutely_is_told_to_do_it_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    _file(tmp_path / "bench", "", "__init__.py")
    path = _file(tmp_path / "bench", f"from {module} import block\n")
    sentence = f"cannot import from '{module}', because here bench is the package of googlenet-"
    for _ in range(2):
        with pytest.raises(RequestError, match=sentence):
            archs.find(f"{path}:net").build(False)


def test_a_relative_file_is_looked_up_in_the_current_folder_or_the_tree_s_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, head = (_file(tmp_path / side, f"side = '{side}'\n") for side in ("base", "head"))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(head.parent)
    module = source_file.load("nets.py")
    assert module.side == "head"
    assert source_file.load("nets.py") is module
    monkeypatch.setenv(source_file.VARIABLE, f"{tmp_path}/none{os.pathsep}{base.parent}")
    assert source_file.load("nets.py").side == "base"


def test_a_relative_file_is_not_found_in_python_s_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (ROOT / "bench" / "stats.py").is_file()
    assert str(ROOT) in sys.path
    with pytest.raises(RequestError, match=r"no file bench/stats\.py in the current folder"):
        archs.find("bench/stats.py:mean").build(False)
    monkeypatch.setenv(source_file.VARIABLE, f"/one{os.pathsep}/two")
    with pytest.raises(RequestError, match=r"no file bench/stats\.py in /one or /two"):
        archs.find("bench/stats.py:mean").build(False)


@pytest.mark.parametrize("name", ["bench.nets.small:build", "bench:build", "bench.stats:build"])
def test_a_module_of_another_bench_is_refused_with_the_name_of_its_file(name: str) -> None:
    file = name.replace(".", "/").replace(":", ".py:")
    with pytest.raises(RequestError, match=f"package of googlenet-bench: name .*, {file}$"):
        archs.find(name).build(False)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def net(:\n", r"importing .*nets.py raised SyntaxError"),
        ("from . import other\n", "attempted relative import"),
        ("other = 1\n", "cannot import 'net' from .*nets.py"),
        ("{}['weights']\n", r"importing .*nets.py raised KeyError: 'weights'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    path = _file(tmp_path, code)
    for _ in range(2):  # a second attempt does not find a half-imported module
        with pytest.raises(RequestError, match=sentence):
            archs.find(f"{path}:net").build(False)


@pytest.mark.parametrize("name", ["nets/mnist.py", "nets.py", "package.module"])
def test_a_file_or_module_without_a_function_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=f"name a function of it, {name}:NAME$"):
        archs.find(name)


def test_a_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(RequestError, match=r"there is no file nowhere/nets.py in the current"):
        archs.find("nowhere/nets.py:net").build(False)


def test_patterns_stand_for_all_that_match() -> None:
    ours = tuple(name for name in VARIANTS if name.startswith("googlenet"))
    assert archs.expand(["torchvision", "googlenet*"]) == ("torchvision", *ours)
    vgg = archs.expand(["torchvision:vgg1*_bn?num_classes=7@64", "torchvision:vgg11_bn"])
    assert vgg == (
        *(f"torchvision:vgg{depth}_bn?num_classes=7@64" for depth in (11, 13, 16, 19)),
        "torchvision:vgg11_bn",
    )
    assert len(archs.expand(["torchvision:*"])) > 70


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("torchvision:goggle*", r"matches 'torchvision:goggle\*': none of the \d+ names matches"),
        ("gogglenet*", "none of the"),
        ("tests.bench.tiny:*", r"matches 'tests.bench.tiny:\*': there is no list of names"),
    ],
)
def test_a_pattern_without_a_match_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        archs.expand([pattern])


def test_the_cells_of_a_plan_have_the_names_that_match() -> None:
    cells = plan_values.cells(
        arch_names=("torchvision:squeezenet*",),
        mode_names=("eager",),
        dtype_names=("fp32",),
        batch_sizes=(1,),
        task_names=("infer",),
        device="cpu",
    )
    assert [cell.arch for cell in cells] == [f"torchvision:squeezenet1_{minor}" for minor in (0, 1)]


def test_a_name_may_ask_for_another_shape() -> None:
    arch = archs.find("googlenet?in_channels=1@1x96x64")
    drawn = Drawing(arch, 32)
    (images,) = drawn(2)
    assert images.shape == (2, 1, 96, 64)
    assert drawn.image_size is None
    with torch.inference_mode():
        assert arch.build(False).eval()(images).shape == (2, 1000)
    with pytest.raises(RequestError, match="asks for images of 0 pixels"):
        archs.find("googlenet@3x0x64")


@pytest.mark.parametrize(
    ("name", "image_size", "shape"),
    [
        ("tests.bench.tiny:net", None, (1, 28, 24)),
        ("tests.bench.tiny:net", 32, (3, 32, 32)),
        ("tests.bench.tiny:net@3x8x8", None, (3, 8, 8)),
        ("tests.bench.tiny:for_images_of_48", None, (3, 48, 48)),
        ("tests.bench.own_inputs:grey", None, None),
        ("torchvision:resnet18", None, (3, 224, 224)),
        ("googlenet", None, (3, 224, 224)),
    ],
)
def test_an_input_shape_is_that_of_networks_that_do_not_say_theirs(
    name: str, image_size: int | None, shape: tuple[int, int, int] | None
) -> None:
    assert Drawing(archs.find(name), image_size, (1, 28, 24)).shape == shape
    assert archs.find("tests.bench.tiny:net").image_size() is None
    assert Drawing(archs.find("tests.bench.tiny:net")).shape == (3, 224, 224)


def test_the_names_of_timm_are_read_without_importing_it() -> None:
    assert set(TIMM.names()) >= set(timm.list_models())
    code = (
        "import sys; from bench.archs.timm import TIMM; "
        "print(len(TIMM.names()) > 1000, 'torch' in sys.modules, 'timm' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False", "False"]


@pytest.mark.workers
def test_a_run_has_the_version_of_timm() -> None:
    run = measure(
        archs=["timm:resnet10t"],
        modes=["eager"],
        image_size=32,
        device="cpu",
        sets=1,
        rounds=1,
        precision=1.0,
        foreign_cpus=100.0,
        ceiling=False,
        progress=TerminalProgress(Console(quiet=True)),
    )
    assert run.record.environment.libraries == {"timm": timm.__version__}


@pytest.mark.parametrize(
    ("name", "pixels"),
    [  # input_size in timm's configurations of pretrained weights
        ("timm:resnet18", 224),
        ("timm:resnet18.a1_in1k", 224),
        ("timm:inception_v3", 299),
        ("timm:mobilenetv4_conv_small", 224),
        ("timm:vit_base_patch16_384", 384),
    ],
)
def test_timm_says_the_size_of_the_images(name: str, pixels: int) -> None:
    assert archs.find(name).image_size() == pixels


def test_an_unknown_network_of_timm_hints_at_the_nearest_without_a_list_of_all() -> None:
    with pytest.raises(RequestError, match=r"did you mean 'resnet18'\? known: 1,\d+ names$"):
        archs.find("timm:resnet81x").build(False)


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(
        arch="timm:resnet18", mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu"
    )
    assert plan_values.missing(cell) == ""
    monkeypatch.setattr("bench.optional._is_installed", lambda module: module != "timm")
    sentence = plan_values.missing(cell)
    assert sentence == (
        'timm:resnet18 needs timm, which is not installed: pip install "googlenet-bench[timm]"'
    )
    with pytest.raises(RequestError) as caught:
        archs.find(cell.arch).build(False)
    assert str(caught.value) == sentence


def test_a_pattern_of_a_library_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.archs.library_names.find_spec", lambda _library: None)
    monkeypatch.setattr("bench.optional._is_installed", lambda module: module != "timm")
    with pytest.raises(RequestError, match=r"needs timm, which is not installed: pip install"):
        archs.expand(["timm:mobilenetv4*"])


def test_a_library_that_is_not_installed_has_no_names() -> None:
    assert library_names.registered_functions("no_such_library") == ()


@pytest.mark.parametrize("arch", ["googlenet", "a/b/nets.py:net?path=c/d@3x8x8"])
def test_the_arch_of_an_id(arch: str) -> None:
    cell = Cell(arch=arch, mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")
    assert arch_of(cell.id) == arch


def test_code_named_by_reference_runs_only_when_it_is_built(tmp_path: Path) -> None:
    path = _file(tmp_path, "raise SystemExit('was run')\n")
    found: Arch = archs.find(f"{path}:net?width=2@64")
    assert found.code == (str(path),)
    assert archs.expand([found.name]) == (found.name,)
