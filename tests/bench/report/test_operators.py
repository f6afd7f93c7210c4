import math
from dataclasses import replace

import pytest

from bench.records import store
from bench.report import operators
from bench.report.operators import CONVOLUTION, FUSED, NOT_ATTRIBUTED, OTHER, PRODUCT
from tests.bench import runs
from tests.bench.report.profiles import ITERATION_S, run
from tests.bench.report.rendered import markdown

BEST_MAC_PER_S = 100e9  # of runs.CEILINGS


@pytest.mark.parametrize(
    ("operator", "category"),
    [
        ("aten::mkldnn_convolution", CONVOLUTION),
        ("mkldnn::_convolution_pointwise", CONVOLUTION),
        ("aten::convolution_backward", CONVOLUTION),
        ("FusedConv", CONVOLUTION),
        ("GroupConvolution", CONVOLUTION),
        ("sm90_xmma_fprop_implicit_gemm_f32f32_tf32f32_f32_nhwckrsc_nhwc", CONVOLUTION),
        ("aten::addmm", PRODUCT),
        ("aten::mm", PRODUCT),
        ("mkldnn::_linear_pointwise", PRODUCT),
        ("Gemm", PRODUCT),
        ("FullyConnected", PRODUCT),
        ("aten::max_pool2d_with_indices", "pooling"),
        ("GlobalAveragePool", "pooling"),
        ("aten::native_batch_norm", "normalisation"),
        ("LayerNormalization", "normalisation"),
        ("LRN", "normalisation"),
        ("aten::clamp_min", "activation"),
        ("HardSigmoid", "activation"),
        ("aten::cat", "concat, copy, reorder"),
        ("ReorderInput", "concat, copy, reorder"),
        ("Convert", "concat, copy, reorder"),
        ("aten::_to_copy", "concat, copy, reorder"),
        ("CompiledFxGraph", FUSED),
        ("triton_poi_fused_convolution_relu_0", FUSED),
        ("aten::mean", OTHER),
        ("a new operator", OTHER),
    ],
)
def test_an_operator_has_the_category_of_its_name(operator: str, category: str) -> None:
    assert operators.category(operator) == category
    assert category in operators.CATEGORIES


def test_the_rows_of_a_cell_add_up_to_its_iteration() -> None:
    rows = operators.frame(run())
    of_cell = rows[(rows["mode"] == "compile")]
    assert of_cell["time_s"].sum() == pytest.approx(ITERATION_S)
    assert of_cell["share"].sum() == pytest.approx(1)
    (rest,) = of_cell[of_cell["category"] == NOT_ATTRIBUTED].to_dict("records")
    assert rest["time_s"] == pytest.approx(0.010)
    assert math.isnan(rest["calls"])
    assert {column.name for column in operators.COLUMNS} <= set(rows.columns)


def test_convolutions_and_products_stand_beside_the_peak() -> None:
    row = operators.balance(run()).to_dict("records")[0]
    assert row["multiplying_s"] == pytest.approx(0.024)
    assert row["peak_s"] == pytest.approx(runs.MACS / BEST_MAC_PER_S)
    assert row["over_peak"] == pytest.approx(0.024 * BEST_MAC_PER_S / runs.MACS)
    assert row["not_attributed"] == pytest.approx(0.25)
    assert row["profiled_ratio"] == pytest.approx(ITERATION_S / row["latency_s"])


def test_without_a_ceiling_the_peak_is_unknown() -> None:
    rows = operators.balance(replace(run(), ceilings={}))
    assert rows["peak_s"].isna().all()
    assert rows["over_peak"].isna().all()


def test_the_fastest_mode_of_pytorch_and_every_other_library_are_main() -> None:
    rows = operators.balance(run())
    assert dict(zip(rows["mode"], rows["is_main"], strict=True)) == {
        "eager": False,
        "compile": True,
        "onnxruntime": True,
    }


def test_the_section_shows_main_cells_openly_and_others_folded() -> None:
    text = markdown(run())
    section = text[text.index("What holds the rest") :]
    shown, _, folded = section.partition("Operators of PyTorch's slower modes")
    for mode in ("compile", "onnxruntime"):
        assert f"Operators of googlenet in {mode}, fp32, batch 1, infer, cpu" in shown
    assert "in eager" not in shown.partition("### Operators of")[2]
    assert "aten::mkldnn" in folded
    assert (
        "torchvision in eager (fp32/b1/infer/cpu) has no times by operator: its executor has no "
        "profiler." in section
    )


def test_a_run_without_profiles_has_no_section() -> None:
    assert operators.frame(runs.small()).empty
    assert operators.balance(runs.small()).empty
    assert "What holds the rest" not in markdown(runs.small())


def test_profiles_are_read_from_the_run_file_as_written() -> None:
    assert store.from_json(store.to_json(run())) == run()
