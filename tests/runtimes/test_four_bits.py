"""Squeezed weights are read as bitsandbytes reads them, bit for bit, into a buffer of the caller's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loralab.runtimes.four_bits import absmax, is_squeezed, squeezed, unpacked

bnb = pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.worker

SHAPES = (
    (5, 6),
    (64, 96),
    (33, 770),
    (7, 33),
    (600, 576),
)  # ends of blocks inside rows, a last block that is not full, an odd row, two levels


def held(weight: torch.Tensor, kind: str, *, double: bool) -> Any:
    return bnb.nn.Params4bit(weight, quant_type=kind, compress_statistics=double).to("cpu")


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bits_are_unpacked_as_bitsandbytes_does(kind: str, double: bool) -> None:
    generic: Any = bnb.backends.default.ops  # its routine for AVX-512 is wrong where rows are no whole number of blocks
    torch.manual_seed(1)
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            weight = held(torch.randn(shape, dtype=dtype), kind, double=double)
            state = weight.quant_state
            expected = generic._dequantize_4bit_compute(weight.data.view(-1), absmax(state), state.code, 64, shape, dtype)
            scratch = torch.full((shape[0] + 2, shape[1]), torch.nan, dtype=dtype)
            found = unpacked(weight, out=scratch[1:-1])
            assert torch.equal(found, expected), (shape, dtype)
            assert found.data_ptr() == scratch[1].data_ptr()
            assert scratch[:: shape[0] + 1].isnan().all(), "written beside its place"


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_squeezing_a_slab_at_a_time_is_squeezing_at_once(kind: str) -> None:
    whole: Any = bnb.backends.default.ops  # bitsandbytes' own routine, whatever has been put in its place
    torch.manual_seed(2)
    for shape, dtype in (((300, 576), torch.bfloat16), ((64, 64), torch.float32), ((33, 77), torch.float16)):
        weight = torch.randn(shape).to(dtype)
        weight[0] = 0.0
        bounds, order = whole._get_4bit_quantize_bounds(kind, weight.device)
        blocks = torch.nn.functional.pad(weight.reshape(-1).float(), (0, -weight.numel() % 64)).view(-1, 64)
        most = blocks.abs().amax(1, keepdim=True)
        codes = order[torch.bucketize((blocks * (1.0 / most.clamp(min=1e-38))).clamp(-1, 1), bounds)]
        found, largest = squeezed(weight, 64, kind, torch.uint8)
        unfolded = torch.stack([found[:, 0] >> 4, found[:, 0] & 15], 1).view(-1)[: weight.numel()]
        torch.testing.assert_close(largest, most[:, 0])
        off = (unfolded != codes.view(-1)[: weight.numel()]).sum().item()
        assert off <= (weight.numel() % 64 and 2), "only a last block that is not whole is divided, which may round otherwise"


def test_eight_bits_are_unpacked_as_the_gradient_of_bitsandbytes_does() -> None:
    layer = bnb.nn.Linear8bitLt(96, 40, bias=False, has_fp16_weights=False)
    weight: Any = bnb.nn.Int8Params(torch.randn(40, 96), requires_grad=False, has_fp16_weights=False).to("cpu")
    found = unpacked(weight, torch.empty(40, 96))
    expected = weight.CB.float().mul_(weight.SCB.unsqueeze(1).mul(1.0 / 127.0))
    assert torch.equal(found, expected)
    assert is_squeezed(weight)
    assert not is_squeezed(layer.weight), "what is not squeezed yet"


def test_what_is_no_buffer_for_it_is_refused() -> None:
    weight = held(torch.randn(8, 16), "nf4", double=True)
    for wrong in (torch.empty(16, 8), torch.empty(16, 8).t(), torch.empty(8, 32)[:, ::2]):
        with pytest.raises(ValueError, match=r"shape|contiguous"):
            unpacked(weight, wrong)
    with pytest.raises(ValueError, match="quantised"):
        unpacked(torch.randn(8, 16), torch.empty(8, 16))
