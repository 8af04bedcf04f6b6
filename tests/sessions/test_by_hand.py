"""Blocks, packing and loss by hand give the library's loss and gradient, and step back where they would not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from loralab.evaluations.shared.answers import switched
from loralab.sessions.fast import loss as fast_loss
from loralab.sessions.fast.bodies import by_hand
from loralab.sessions.fast.loss import TargetLosses, Tiles
from loralab.sessions.fast.packing import pack
from loralab.sessions.fast.products import across, padded, times
from loralab.sessions.fast.workspace import Workspace
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter
from loralab.tasks.text import TextPlan

SMALL: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 300}
KINDS: dict[str, Any] = {
    "shared keys": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=True)),
    "biases": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=1, attention_bias=True, mlp_bias=True)),
    "wide heads": lambda: MistralForCausalLM(MistralConfig(**SMALL, num_key_value_heads=4, head_dim=32, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, num_key_value_heads=2)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(n_embd=64, n_inner=160, n_layer=3, n_head=4, vocab_size=300, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    ),
    "norms of heads": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=32)),
}


def adapted(model: Any, **settings: Any) -> Any:
    """`model` under an adapter that speaks, learning."""
    torch.manual_seed(1)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings)
    wrapped: Any = get_peft_model(model.requires_grad_(False), config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if parameter.requires_grad or "norm" in name or "bias" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return wrapped.train()


def made(kind: str = "shared keys", **settings: Any) -> Any:
    torch.manual_seed(0)
    return adapted(KINDS[kind]().float(), **settings)


def rows(*, alike: int = 0) -> tuple[Tensor, Tensor]:
    """Six rows of up to 30 tokens, the first `alike` the same in all; [6, 30] each."""
    torch.manual_seed(3)
    ids = torch.randint(4, 300, (6, 30))
    ids[:, :alike] = ids[0, :alike]
    learned = torch.zeros_like(ids, dtype=torch.bool)
    for row, (start, end) in enumerate([(10, 30), (5, 12), (12, 25), (20, 28), (3, 9), (11, 29)]):
        learned[row, start:end] = True
    return ids, learned


def by_the_library(model: Any, ids: Tensor, learned: Tensor) -> Tensor:
    logits = model(input_ids=ids).logits[:, :-1][learned[:, 1:]]
    return F.cross_entropy(logits.float(), ids[:, 1:][learned[:, 1:]], reduction="sum")


def gradients(model: Any, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor], within: float = 1e-4) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= within * gradient.norm().clamp(min=1e-6), name


@pytest.mark.parametrize("mode", ["none", "selective", "full"])
@pytest.mark.parametrize("alike", [0, 3, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_the_librarys(kind: str, alike: int, mode: Any) -> None:
    model, (ids, learned) = made(kind), rows(alike=alike)
    head = TextHead(model.get_base_model())
    assert head.by_hand is not None
    head.set_mode(mode, 4)
    loss = head.loss(ids, learned)
    found = gradients(model, loss)
    head.set_mode("none", 4)
    expected = by_the_library(model, ids, learned)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_alike(found, gradients(model, expected))


@pytest.mark.parametrize("mode", ["none", "selective", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_sixteen_bits_the_gradient_is_that_of_exact_numbers(kind: str, mode: Any) -> None:
    """As near to it as the library's own in 16 bits, within a factor; the adapter stays beside the weight and learns in 32."""
    (ids, learned), exact = rows(alike=12), quieter(made(kind))
    expected = gradients(exact, by_the_library(exact, ids, learned))
    model = in_sixteen_bits(quieter(made(kind)))
    head = TextHead(model.get_base_model())
    assert head.by_hand is not None
    head.set_mode(mode, 4)
    loss = head.loss(ids, learned)
    found = gradients(model, loss)
    head.set_mode("none", 4)
    theirs = gradients(model, by_the_library(model, ids, learned))
    assert {gradient.dtype for gradient in found.values()} == {torch.float32}
    assert off(found, expected) <= max(2.5 * off(theirs, expected), 1e-5) < 1e-3
    assert loss.item() == pytest.approx(by_the_library(exact, ids, learned).item(), rel=1e-3)


def quieter(model: Any) -> Any:
    """An adapter as loud as what it is added to, and no louder."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.mul_(0.5)
    return model


def in_sixteen_bits(model: Any) -> Any:
    """All but the adapter in bf16, as a plan in bf16 loads a base."""
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            parameter.data = parameter.data.bfloat16()
    return model


def off(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """1 - cosine between two gradients of a whole adapter."""
    flat = [torch.cat([gradients[name].flatten().double() for name in expected]) for gradients in (found, expected)]
    return 1 - F.cosine_similarity(flat[0], flat[1], dim=0).item()


@pytest.mark.parametrize("targets", [["q_proj"], ["v_proj", "down_proj"], ["gate_proj", "o_proj"]])
def test_parts_without_an_adapter_are_the_bases_own(targets: list[str]) -> None:
    model, (ids, learned) = made(target_modules=targets), rows(alike=9)
    head = TextHead(model.get_base_model())
    found = gradients(model, head.loss(ids, learned))
    assert_alike(found, gradients(model, by_the_library(model, ids, learned)))


def test_a_token_is_told_nothing_by_what_follows_it_or_stands_in_another_row() -> None:
    """The gradient of one row's loss with respect to the embeddings of all tokens, side by side without padding."""
    model, (ids, learned) = made(), rows()
    head = TextHead(model.get_base_model())
    learned[1:] = False
    alone, among = head.row_losses(ids[:1], learned[:1]), None
    ids[0, 15:] = ids[1, 15:]
    learned[1, 14:20] = True
    among = head.row_losses(ids, learned)
    assert pack(ids, learned).size < ids.numel()
    first = head.row_losses(ids[:1], learned[:1])
    assert among[0].item() == pytest.approx(first[0].item(), rel=1e-6)
    assert alone[0].item() != pytest.approx(first[0].item(), rel=1e-3), "what it reads was changed"
    assert head.row_losses(ids[1:2], learned[1:2])[0].item() == pytest.approx(among[1].item(), rel=1e-6)


def test_a_beginning_is_computed_once_for_all_rows_that_share_it() -> None:
    ids, learned = rows(alike=20)
    ids[3] = ids[2]
    packed = pack(ids, learned)
    needed = [29, 11, 24, 27, 8, 28]  # up to the token before the last that is learned from
    distinct = {tuple(row[: place + 1]) for row, n in zip(ids.tolist(), needed, strict=True) for place in range(n)}
    assert packed.size == len(distinct)
    assert pack(*rows()).size == sum(needed)


def test_the_base_is_asked_alone_and_the_adapter_comes_back() -> None:
    model, (ids, learned) = made(), rows()
    head = TextHead(model.get_base_model())
    with torch.no_grad():
        with_it = head.loss(ids, learned)
        with switched(model, adapter=False):
            without = head.loss(ids, learned)
            assert without.item() == pytest.approx(by_the_library(model, ids, learned).item(), rel=1e-6)
        assert head.loss(ids, learned).item() == with_it.item() != without.item()


def test_a_changed_adapter_is_noticed_and_a_look_between_does_not_disturb() -> None:
    """Sums of small models stay for the way back of their pass, and no longer; a held-out look may come between. The optimiser's own kernel
    changes weights without counting a version.
    """
    model, (ids, learned) = made(), rows()
    head = TextHead(model.get_base_model())
    assert all(joined.stays for block in head.by_hand.written.blocks for joined in block.joined)  # type: ignore[union-attr]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, fused=True)
    head.loss(ids, learned).backward()
    optimizer.step()
    loss = head.loss(ids, learned)
    assert loss.item() == pytest.approx(by_the_library(model, ids, learned).item(), rel=1e-6)
    with torch.no_grad():
        head.loss(ids.flip(1), learned)
    assert_alike(gradients(model, loss), gradients(model, by_the_library(model, ids, learned)))


def test_what_it_does_not_know_is_left_to_the_library() -> None:
    torch.manual_seed(0)
    config = MistralConfig(**SMALL, num_key_value_heads=4, sliding_window=16)
    assert by_hand(adapted(MistralForCausalLM(config)).get_base_model()) is None
    assert by_hand(made(use_dora=True).get_base_model()) is None
    assert by_hand(made(modules_to_save=["q_proj"], target_modules=["v_proj"]).get_base_model()) is None
    scaled = KINDS["shared keys"]()
    scaled.model.layers[0].self_attn.scaling *= 2  # code of its own, which no setting tells
    assert by_hand(adapted(scaled).get_base_model()) is None


def test_an_adapter_that_drops_out_is_the_librarys_while_it_learns() -> None:
    model, (ids, learned) = made(lora_dropout=0.5), rows()
    head = TextHead(model.get_base_model())
    torch.manual_seed(5)
    loss = head.loss(ids, learned)
    torch.manual_seed(5)
    assert loss.item() == pytest.approx(by_the_library(model, ids, learned).item(), rel=1e-6)
    torch.manual_seed(6)
    assert head.loss(ids, learned).item() != pytest.approx(loss.item(), rel=1e-6)


def test_a_target_of_no_probability_still_has_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_loss, "MOST_ROWS", 4)
    torch.manual_seed(0)
    states, weight = torch.randn(9, 8, requires_grad=True), torch.randn(50, 8)
    with torch.no_grad():
        states[3] *= 500
    sources, targets = torch.tensor([0, 3, 3, 5, 5, 8, 1, 2, 7, 4]), torch.arange(10)
    upstream = torch.rand(10)
    losses = TargetLosses.apply(states, sources, targets, weight, Tiles())
    (found,) = torch.autograd.grad((losses * upstream).sum(), states)
    expected = F.cross_entropy(states[sources] @ weight.t(), targets, reduction="none")
    (gradient,) = torch.autograd.grad((expected * upstream).sum(), states)
    assert expected.max() > 200, "nothing was so unlikely"
    assert torch.allclose(losses, expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(found, gradient, rtol=1e-4, atol=1e-4)


def test_sixteen_bits_lose_nothing_of_what_is_nearly_certain() -> None:
    """A target of p = 0.999 has a loss and a gradient of a thousandth, though in bf16 p is 1."""
    torch.manual_seed(0)
    states, weight = torch.zeros(20, 8, dtype=torch.bfloat16), torch.zeros(50, 8, dtype=torch.bfloat16)
    states[:, 0], weight[7, 0] = torch.linspace(6, 12, 20), 1.0
    states.requires_grad_()
    targets = torch.full((20,), 7)
    losses = TargetLosses.apply(states, torch.arange(20), targets, weight, Tiles())
    (found,) = torch.autograd.grad(losses.sum(), states)
    exact = states.detach().float().requires_grad_()
    expected = F.cross_entropy(exact @ weight.float().t(), targets, reduction="none")
    (gradient,) = torch.autograd.grad(expected.sum(), exact)
    assert 1e-4 < expected.min() < 5e-3, "nothing was nearly certain"
    assert torch.allclose(losses, expected, rtol=2e-2)
    assert torch.allclose(found.float(), gradient, rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("n", [1, 127, 128, 500, 1300])
def test_rows_in_pieces_are_the_product_of_all_rows(n: int) -> None:
    torch.manual_seed(0)
    space = Workspace(torch.bfloat16, torch.device("cpu"))
    inputs, out = space.take("inputs", n, 24).copy_(torch.randn(n, 24)), space.take("out", n, 16)
    outgoing, matrix = space.take("outgoing", n, 40).copy_(torch.randn(n, 40)), torch.randn(24, 16).bfloat16()
    for each, width in ((inputs, 24), (outgoing, 40)):  # what lies behind the rows is nobody's, and may be anything
        torch.as_strided(each, (padded(n), width), each.stride())[n:] = torch.nan
    assert torch.allclose(times(inputs, matrix, out).float(), inputs.float() @ matrix.float(), rtol=0.02, atol=0.05)
    before = out.clone()
    times(inputs, matrix, out, add=out, alpha=0.5)
    assert torch.allclose(out.float(), before.float() + 0.5 * (inputs.float() @ matrix.float()), rtol=0.02, atol=0.05)
    found = across(outgoing[:, 8:24], inputs)
    assert torch.allclose(found, outgoing[:, 8:24].float().t() @ inputs.float(), rtol=0.02, atol=0.02 * n**0.5 + 0.1)


def test_products_of_any_number_of_rows_are_of_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size costs the processor's library a routine that it keeps."""
    seen: set[int] = set()
    product = torch.mm

    def mm(left: Tensor, right: Tensor, **named: Any) -> Tensor:
        seen.add(len(left))
        return product(left, right, **named)

    monkeypatch.setattr(torch, "mm", mm)
    space, matrix = Workspace(torch.bfloat16, torch.device("cpu")), torch.zeros(8, 8, dtype=torch.bfloat16)
    for n in range(1, 1500, 7):
        times(space.take("inputs", n, 8), matrix, space.take("out", n, 8))
    assert seen == {512, 256, 128}


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_plan_without_dropout_silences_the_bases_own(dropout: float) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50)).requires_grad_(False)
    adapted_to = attach_adapter(model, TextPlan(rank=4, dropout=dropout))
    assert {module.p for name, module in adapted_to.named_modules() if type(module) is torch.nn.Dropout and "lora" not in name} == {
        0.1 if dropout else 0.0
    }
    body = by_hand(model)
    assert body is not None
    assert body.drops_out is bool(dropout)
