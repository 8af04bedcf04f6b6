"""The text session: its loss is the model's own for every family, its batches are exact, and held-out examples stay out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.sessions.head import TILE, TextHead, cross_entropies
from loralab.sessions.lora import attach_adapter
from loralab.sessions.text import TextSession
from tests.support import models

LENGTHS = (23, 7, 15, 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl", rows=90)


def opened(path: Path, base: Path, data: Path, **settings: Any) -> TextSession:
    chosen = models.plan(data, **settings)
    return TextSession(chosen, models.run_folder(path, chosen, base))


# ---- the loss --------------------------------------------------------------------------------------------------------------


def padded() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids padded on the right [4, 23], which of them are learned from, and the attention mask."""
    torch.manual_seed(1)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), 1)
    mask = torch.zeros_like(ids)
    learned = torch.zeros_like(ids, dtype=torch.bool)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(4, 300, (length,))
        mask[row, :length] = 1
        learned[row, length // 2 : length] = True
    return ids, learned, mask


@pytest.mark.parametrize("family", models.FAMILIES)
def test_our_loss_is_the_models_own(family: str, tmp_path: Path) -> None:
    """Against transformers' loss with an attention mask and labels of -100: padding on the right without a mask changes nothing."""
    model: Any = attach_adapter(models.model(family), models.plan(tmp_path))
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # louder than fresh weights, so that caps and scales show
    ids, learned, mask = padded()
    head = TextHead(model.get_base_model())
    ours = head.loss(ids, learned)
    ours.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    own = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(~learned, -100)).loss * learned[:, 1:].sum()
    own.backward()
    assert ours.item() == pytest.approx(own.item(), rel=1e-5)
    assert found
    for name, parameter in model.named_parameters():
        if name in found:
            assert torch.allclose(found[name], parameter.grad, rtol=1e-3, atol=1e-4), name
    assert head.plain == (family != "gemma2")


def test_a_soft_cap_is_noticed_on_fresh_weights_too() -> None:
    """Fresh weights speak so quietly that a cap at 30 changes their logits by a millionth."""
    assert not TextHead(models.model("gemma2")).plain


def test_asking_the_model_leaves_it_as_it_was() -> None:
    model = models.model("llama").train()
    ids, _, _ = padded()
    before = model(input_ids=ids).logits
    TextHead(model)
    assert model.training
    assert torch.equal(model(input_ids=ids).logits, before)


def test_tiles_change_neither_the_loss_nor_the_gradient() -> None:
    torch.manual_seed(2)
    output = torch.nn.Linear(16, 50, bias=False)
    targets = torch.randint(0, 50, (TILE * 2 + 5,))
    hidden = torch.randn(len(targets), 16, requires_grad=True)
    tiled = cross_entropies(hidden, targets, output).sum()
    (found,) = torch.autograd.grad(tiled, hidden)
    whole = torch.nn.functional.cross_entropy(output(hidden), targets, reduction="sum")
    (expected,) = torch.autograd.grad(whole, hidden)
    assert tiled.item() == pytest.approx(whole.item(), rel=1e-5)
    assert torch.allclose(found, expected, atol=1e-6)


# ---- batches ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effective", "micro"), [(8, 8), (7, 3), (1, 4), (500, 16)])
def test_every_example_is_seen_once_per_epoch_and_held_out_ones_never(
    tmp_path: Path, llama: Path, data: Path, effective: int, micro: int
) -> None:
    session = opened(tmp_path, llama, data, effective_batch=effective, micro_batch=micro)
    everything = {example.row for example in session.train_examples}
    heldout = {row for batch in session.heldout_batches() for row in batch.rows}
    assert len(heldout) >= 8
    assert everything | heldout == set(range(1, 91))
    for epoch in (0, 1):
        updates = list(session.steps(epoch))
        seen = Counter(row for update in updates for batch in update for row in batch.rows)
        assert len(updates) == session.steps_per_epoch()
        assert seen == Counter(everything)
        assert not seen.keys() & heldout
        assert all(len(batch.rows) <= micro for update in updates for batch in update)


def test_an_evaluation_sees_every_class_of_a_sorted_file_with_its_share(tmp_path: Path, llama: Path) -> None:
    """Early stopping and the version that is kept rest on it: the first rows alone would speak for the first classes alone."""
    lines = [json.dumps({"text": f"Say it, number {row}.", "label": f"class {row // 120}"}) for row in range(1200)]
    data = tmp_path / "sorted.jsonl"
    data.write_text("\n".join(lines) + "\n", "utf-8")
    session = opened(tmp_path / "run", llama, data, heldout_share=0.3, token_budget=0)
    seen = [row for batch in session.heldout() for row in batch.rows]
    assert len(seen) == len(set(seen)) == 128
    held, looked = (Counter((row - 1) // 120 for row in rows) for rows in ([e.row for e in session.heldout_examples], seen))
    assert all(abs(looked[each] / 128 - held[each] / 360) < 0.02 for each in range(10))
    assert [row for batch in session.heldout() for row in batch.rows] == seen


def test_the_order_depends_on_seed_and_epoch_alone(tmp_path: Path, llama: Path, data: Path) -> None:
    session, again = (opened(tmp_path / name, llama, data, seed=3) for name in ("a", "b"))
    assert session.order(0) == again.order(0)
    assert session.order(0) != session.order(1)
    assert opened(tmp_path / "c", llama, data, seed=4).order(0) != session.order(0)
    rest = [batch.rows for update in session.steps(0, start=3) for batch in update]
    assert rest == [batch.rows for update in list(session.steps(0))[3:] for batch in update]


def test_batches_hold_the_tokens_of_their_examples_and_nothing_is_learned_from_padding(tmp_path: Path, llama: Path, data: Path) -> None:
    session = opened(tmp_path, llama, data)
    batch = session.batch(session.train_rows, [0, 5, 9], session.train_examples)
    ids, learned = batch.tensors["ids"], batch.tensors["learned"]
    for at, i in enumerate((0, 5, 9)):
        row = session.train_rows[i]
        assert ids[at, : len(row.ids)].tolist() == row.ids
        assert learned[at, : len(row.ids)].tolist() == row.learned
        assert set(ids[at, len(row.ids) :].tolist()) <= {session.encoder.pad_id}
        assert not learned[at, len(row.ids) :].any()
    assert batch.n_targets == int(learned.sum())
    assert batch.n_units == sum(len(session.train_rows[i].ids) for i in (0, 5, 9))


def test_rows_of_like_length_share_a_batch(tmp_path: Path, llama: Path, data: Path) -> None:
    session = opened(tmp_path, llama, data)
    padding = sum(batch.tensors["ids"].numel() - batch.n_units for update in session.steps(0) for batch in update)
    assert padding < 0.15 * sum(len(row.ids) for row in session.train_rows)


def test_no_batch_holds_more_padded_tokens_than_the_plan_allows_at_once(tmp_path: Path, llama: Path, data: Path) -> None:
    def sizes(budget: int) -> list[tuple[int, int]]:
        session = opened(tmp_path / str(budget), llama, data, micro_batch=8, token_budget=budget)
        return [(len(batch.rows), batch.tensors["ids"].shape[1]) for batches in session.steps(0) for batch in batches]

    assert all(rows == 1 or rows * longest <= 150 for rows, longest in sizes(150))
    assert any(rows > 1 for rows, _ in sizes(150))
    assert max(rows * longest for rows, longest in sizes(0)) > 150, "without a budget there are larger ones"


def test_examples_with_nothing_left_to_learn_are_left_out_and_named(tmp_path: Path, llama: Path) -> None:
    path = tmp_path / "long.jsonl"
    rows = [{"prompt": f"What is number {i}?", "completion": "green"} for i in range(40)]
    rows[4]["prompt"] = "a long question " * 100
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    session = opened(tmp_path / "run", llama, path, max_length=64)
    notes = [note for note in models.told(session.folder, Noted) if note.rows]
    assert [note.rows for note in notes] == [(5,)]
    assert len(session.train_rows) + len(session.heldout_rows) == 39


def test_a_file_with_nothing_to_learn_is_refused_in_words(tmp_path: Path, llama: Path, data: Path) -> None:
    with pytest.raises(UserError, match="usable"):
        opened(tmp_path, llama, data, max_length=16)


# ---- the adapter -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", models.FAMILIES)
@pytest.mark.parametrize("targets", ["all-linear", "attention", "mlp"])
def test_every_family_gets_an_adapter_where_it_was_asked_for(family: str, targets: str, tmp_path: Path) -> None:
    model = attach_adapter(models.model(family), models.plan(tmp_path, targets=targets))
    trained = {name.partition(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    inside = [name for name in trained if "attn" in name or "attention" in name]
    assert {"all-linear": 0 < len(inside) < len(trained), "attention": len(inside) == len(trained), "mlp": not inside}[targets]


def test_unknown_parts_are_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"self_attn\.q_proj"):
        attach_adapter(models.model("llama"), models.plan(tmp_path, targets="nonsense"))


def test_a_fresh_adapter_changes_nothing_and_its_weights_are_exact(tmp_path: Path) -> None:
    base = models.model("llama")
    ids, _, _ = padded()
    with torch.no_grad():
        before = base(input_ids=ids).logits
        adapted = attach_adapter(base.to(torch.bfloat16).float(), models.plan(tmp_path)).eval()
        after = adapted(input_ids=ids).logits
    assert torch.allclose(before, after, atol=2e-2)
    assert {p.dtype for p in adapted.parameters() if p.requires_grad} == {torch.float32}
