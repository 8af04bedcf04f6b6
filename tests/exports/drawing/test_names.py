"""Names of an adapter's layers in other programs: those of the real models, letter for letter, and nothing lost on the way."""

from __future__ import annotations

import pytest
import torch

from loralab.core.errors import UserError
from loralab.exports.drawing.kohya import renamed, restored
from loralab.exports.drawing.names import PEFT, layers_of, place

SD, XL, KLEIN = "StableDiffusionPipeline", "StableDiffusionXLPipeline", "Flux2KleinPipeline"
BLOCK = "transformer_blocks.0.attn1.to_q"


@pytest.mark.parametrize(
    ("kind", "layer", "name"),
    [
        (SD, f"down_blocks.0.attentions.1.{BLOCK}", "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q"),
        (
            SD,
            "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0",
        ),
        (XL, f"down_blocks.1.attentions.0.{BLOCK}", "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"),
        (XL, f"down_blocks.2.attentions.1.{BLOCK}", "lora_unet_input_blocks_8_1_transformer_blocks_0_attn1_to_q"),
        (XL, f"mid_block.attentions.0.{BLOCK}", "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q"),
        (XL, f"up_blocks.0.attentions.2.{BLOCK}", "lora_unet_output_blocks_2_1_transformer_blocks_0_attn1_to_q"),
        (XL, f"up_blocks.1.attentions.0.{BLOCK}", "lora_unet_output_blocks_3_1_transformer_blocks_0_attn1_to_q"),
        (KLEIN, "transformer_blocks.3.attn.to_out.0", "lora_unet_double_blocks_3_img_attn_proj"),
        (KLEIN, "transformer_blocks.3.attn.to_add_out", "lora_unet_double_blocks_3_txt_attn_proj"),
        (KLEIN, "single_transformer_blocks.11.attn.to_qkv_mlp_proj", "lora_unet_single_blocks_11_linear1"),
        (KLEIN, "single_transformer_blocks.11.attn.to_out", "lora_unet_single_blocks_11_linear2"),
    ],
)
def test_a_layer_has_the_name_that_other_programs_know(kind: str, layer: str, name: str) -> None:
    assert place(kind, layer, 2) == (name, 0, 1)


def test_queries_keys_and_values_of_flux_are_parts_of_one_matrix() -> None:
    parts = [place(KLEIN, f"transformer_blocks.1.attn.{name}", 2) for name in ("to_q", "to_k", "to_v", "add_v_proj")]
    assert [(one.part, one.of) for one in parts] == [(0, 3), (1, 3), (2, 3), (2, 3)]
    assert [one.name for one in parts[2:]] == ["lora_unet_double_blocks_1_img_attn_qkv", "lora_unet_double_blocks_1_txt_attn_qkv"]


@pytest.mark.parametrize("kind", [SD, XL, KLEIN])
def test_a_layer_without_a_place_is_an_error_and_not_left_out(kind: str) -> None:
    with pytest.raises(UserError, match="has no name"):
        place(kind, "conv_in", 2)
    with pytest.raises(UserError, match="no part of a plain adapter"):
        layers_of([f"{PEFT}conv_in.lora_magnitude_vector.weight"])


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        (SD, [f"down_blocks.0.attentions.0.{BLOCK}", f"up_blocks.3.attentions.2.{BLOCK}"]),
        (XL, [f"down_blocks.1.attentions.1.{BLOCK}"]),
        (KLEIN, [f"transformer_blocks.0.attn.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")]),
    ],
)
def test_numbers_come_back_bit_for_bit_and_do_the_same(kind: str, layers: list[str]) -> None:
    torch.manual_seed(0)
    tensors = {}
    for layer in layers:
        tensors |= {f"{PEFT}{layer}.lora_A.weight": torch.randn(4, 6), f"{PEFT}{layer}.lora_B.weight": torch.randn(5, 4)}
    made = renamed(tensors, kind, 2)
    back = restored(made, kind, layers, 2)
    assert back.keys() == tensors.keys()
    assert all(value.equal(back[name]) for name, value in tensors.items())
    ends = {name.partition(".")[2] for name in made}
    assert ends == {"lora_down.weight", "lora_up.weight", "alpha"}
    whole = sum(value.numel() for name, value in made.items() if name.endswith("lora_up.weight"))
    for name in (name.partition(".")[0] for name in made if name.endswith(".alpha")):
        down, up = made[f"{name}.lora_down.weight"], made[f"{name}.lora_up.weight"]
        assert float(made[f"{name}.alpha"]) == down.shape[0] == up.shape[1], "alpha is the rank, or it would be scaled"
    joined = kind == KLEIN
    assert whole == (15 * 12 + 20 if joined else 20 * len(layers))
    if joined:
        x = torch.randn(6)
        one = made["lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"] @ (
            made["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"] @ x
        )
        each = [tensors[f"{PEFT}{layer}.lora_B.weight"] @ (tensors[f"{PEFT}{layer}.lora_A.weight"] @ x) for layer in layers[:3]]
        assert torch.allclose(one, torch.cat(each), atol=1e-5)
