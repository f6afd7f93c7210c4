import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.worker import formulas
from bench.worker.formulas import FORMULAS, multiplies
from bench.worker.mac_counter import MacCounter


def macs(run: object, *args: object) -> int:
    with MacCounter() as counter:
        run(*args)  # type: ignore[operator]
    assert counter.uncounted == {}
    return counter.macs


def test_products_with_vectors_are_counted() -> None:
    matrix, vector = torch.randn(5, 7), torch.randn(7)
    assert macs(torch.mv, matrix, vector) == 5 * 7
    assert macs(torch.addmv, torch.randn(5), matrix, vector) == 5 * 7
    assert macs(torch.dot, vector, vector) == macs(torch.vdot, vector, vector) == 7


def test_products_summed_over_the_batch_are_counted() -> None:
    left, right = torch.randn(3, 5, 7), torch.randn(3, 7, 2)
    assert macs(torch.addbmm, torch.randn(5, 2), left, right) == 3 * 5 * 7 * 2


def test_in_place_forms_and_outer_products_are_counted() -> None:
    left, right, bias = torch.randn(5, 7), torch.randn(7, 2), torch.randn(5, 2)
    assert macs(bias.addmm_, left, right) == 5 * 7 * 2
    assert macs(torch.addr, torch.randn(5, 2), torch.randn(5), torch.randn(2)) == 5 * 2
    batches = torch.randn(3, 5, 2)
    assert macs(batches.baddbmm_, left.expand(3, 5, 7), right.expand(3, 7, 2)) == 3 * 5 * 7 * 2


def test_bilinear_layers_are_counted() -> None:
    left, right, weight = torch.randn(4, 5), torch.randn(4, 7), torch.randn(3, 5, 7)
    assert macs(F.bilinear, left, right, weight) == 4 * 3 * 5 * 7


@pytest.mark.parametrize("channels", [(7, 7), (7, 4)])  # run as one operator, or as several
@pytest.mark.parametrize("is_known", [True, False])
def test_attention_has_the_same_count_in_every_pytorch_version(
    channels: tuple[int, int], is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 2.15 PyTorch has no formula for attention on a CPU, and counts 0."""
    if not is_known:
        registry = torch.utils.flop_counter.flop_registry
        cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        monkeypatch.delitem(registry, cpu, raising=False)
    query, key, value = (
        torch.randn(2, 3, places, width)
        for places, width in ((5, channels[0]), (11, channels[0]), (11, channels[1]))
    )
    assert macs(F.scaled_dot_product_attention, query, key, value) == 2 * 3 * 5 * 11 * sum(channels)


def test_heads_that_share_keys_are_counted() -> None:
    query, key = torch.randn(1, 8, 5, 4), torch.randn(1, 2, 11, 4)
    counted = macs(lambda: F.scaled_dot_product_attention(query, key, key, enable_gqa=True))
    assert counted == 8 * 5 * 11 * (4 + 4)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated
def test_quantised_layers_are_counted() -> None:
    weight = torch.quantize_per_tensor(torch.randn(4, 6), 0.1, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight, None)
    inputs = torch.quantize_per_tensor(torch.randn(3, 6), 0.1, 0, torch.quint8)
    assert macs(torch.ops.quantized.linear, inputs, packed, 0.1, 0) == 3 * 4 * 6

    kernel = torch.quantize_per_tensor(torch.randn(4, 3, 3, 3), 0.1, 0, torch.qint8)
    conv = torch.ops.quantized.conv2d_prepack(kernel, None, [1, 1], [1, 1], [1, 1], 1)
    images = torch.quantize_per_tensor(torch.randn(2, 3, 8, 8), 0.1, 0, torch.quint8)
    assert macs(torch.ops.quantized.conv2d, images, conv, 0.1, 0) == 2 * 4 * 8 * 8 * 3 * 9


def test_deformable_convolutions_are_counted() -> None:
    ops = pytest.importorskip("torchvision.ops")
    offset = torch.zeros(2, 2 * 9, 6, 6)
    counted = macs(ops.deform_conv2d, torch.randn(2, 3, 8, 8), offset, torch.randn(4, 3, 3, 3))
    assert counted == 2 * 4 * 6 * 6 * 3 * 9


def test_formulas_replace_only_pytorch_formulas_of_attention() -> None:
    """For any other operator, a formula of PyTorch itself is used if there is one."""
    replaced = set(FlopCounterMode(display=False).flop_registry) & set(formulas.by_operator())
    assert all("attention" in str(packet) for packet in replaced)


def test_every_name_has_a_namespace() -> None:
    assert all(name.count("::") == 1 for name in FORMULAS)


@pytest.mark.parametrize(
    "name",
    [
        *("aten::_fft_r2c", "aten::_cdist_forward", "aten::linalg_inv_ex", "aten::_sparse_mm"),
        *("aten::conv3d", "aten::_weight_int3pack_mm", "aten::lstm", "aten::_cudnn_rnn"),
        *("mine::scale", "mkldnn::_linear_pointwise", "onednn::qconv2d_pointwise"),
        *("quantized::int4mm_packed_weight_cpu", "inductor::_mm_plus_mm", "prims::svd"),
        *("prims::fft_c2c", "prim::mkldnn_convolution", "onednn::qlinear_pointwise"),
    ],
)
def test_operators_that_may_multiply_are_recognised_by_name(name: str) -> None:
    assert multiplies(name)


@pytest.mark.parametrize(
    "name",
    [
        *("aten::relu", "aten::max_pool2d_with_indices", "aten::native_layer_norm", "aten::cat"),
        *("aten::upsample_bilinear2d", "aten::_upsample_linear1d", "aten::grid_sampler_2d"),
        *("aten::linalg_vector_norm", "aten::linalg_cross", "aten::_linalg_check_errors"),
        *("aten::sqrt", "aten::mvlgamma", "aten::_convert_indices_from_coo_to_csr", "aten::conj"),
        *("aten::mkldnn_reorder_conv2d_weight", "torchvision::nms", "prim::device"),
    ],
)
def test_operators_that_do_not_multiply_are_recognised_by_name(name: str) -> None:
    assert not multiplies(name)
