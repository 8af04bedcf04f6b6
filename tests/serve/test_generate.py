"""Writing an answer token by token: it is what transformers would write, and which adapters took part is read off the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError

pytestmark = pytest.mark.worker

ASK = [{"role": "user", "content": "What is the colour of grass?"}]


def test_greedy_answer_equals_transformers_own(adapted: tuple[Any, Any]) -> None:
    import torch

    from loralab.serve.generate import answer

    model, encoder = adapted
    ours, _ = answer(model, encoder, ASK, 24)
    ids = torch.tensor([encoder.prompt_ids(ASK)])
    theirs = model.generate(input_ids=ids, max_new_tokens=24, do_sample=False, pad_token_id=1, eos_token_id=[0, 3])[
        0, ids.shape[1] :
    ].tolist()
    assert ours == encoder.decode(theirs)


def test_active_adapters_are_read_off_the_layers(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import active_adapters, adapter_off, answer

    model, encoder = adapted
    assert active_adapters(model) == ("default",)
    with adapter_off(model):
        assert active_adapters(model) == ()
        base, active = answer(model, encoder, ASK, 24)
        assert active == ()
    with_adapter, active = answer(model, encoder, ASK, 24)
    assert active == ("default",)
    assert base != with_adapter
    model.base_model.disable_adapter_layers()  # behind everybody's back
    try:
        assert answer(model, encoder, ASK, 24) == (base, ())
    finally:
        model.base_model.enable_adapter_layers()


def test_adapter_off_gives_the_bare_models_logits(adapted: tuple[Any, Any], folders: tuple[Path, Path]) -> None:
    import torch

    from loralab.runtimes.base_model import load_base
    from loralab.serve.generate import adapter_off

    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        bare = load_base(folders[0], "fp32")(input_ids=ids).logits
        with adapter_off(adapted[0]):
            off = adapted[0](input_ids=ids).logits
        on = adapted[0](input_ids=ids).logits
    assert torch.equal(bare, off)
    assert (on - bare).abs().max() > 0.1


def test_sampling_repeats_with_its_seed_and_differs_with_another(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import Sampling, collect, generate

    texts = [collect(generate(*adapted, ASK, Sampling(20, 1.0, 0.95, seed)))[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_stop_text_ends_the_answer_before_itself(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import Sampling, collect, generate

    whole, _ = collect(generate(*adapted, ASK, Sampling(40)))
    at = len(whole) // 2
    stop = whole[at : at + 3]
    text, finish = collect(generate(*adapted, ASK, Sampling(40, stop=(stop,))))
    assert text == whole[: whole.find(stop)]
    assert finish.reason == "stop"


def test_pieces_of_text_never_hold_half_a_character(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import Spoken

    encoder = adapted[1]
    text = "grün 草 🌱!"
    stream = Spoken(encoder, ())
    pieces = [piece for token in encoder.text_ids(text) for piece in stream.add(token)] + list(stream.rest())
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("stop", [(), ("lo w", "zz"), ("🌱",), ("never",)])
def test_pieces_make_the_whole_text_up_to_its_stop(adapted: tuple[Any, Any], stop: tuple[str, ...]) -> None:
    from loralab.serve.generate import Spoken

    encoder = adapted[1]
    ids = encoder.text_ids(" hello world, grün 草 🌱 and  more\n\n🌱")
    for count in range(len(ids) + 1):
        stream, pieces = Spoken(encoder, stop), []
        for token in ids[:count]:
            pieces += stream.add(token)
            if stream.stopped:
                break
        pieces += stream.rest()
        whole = encoder.decode(ids[:count])
        assert "".join(pieces) == whole[: min((at for s in stop if (at := whole.find(s)) >= 0), default=len(whole))]


def test_a_conversation_longer_than_the_context_loses_its_oldest_turns(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import fit

    encoder = adapted[1]
    turns = [{"role": "system", "content": "be kind"}]
    for i in range(30):
        turns += [{"role": "user", "content": f"tell me about {i}"}, {"role": "assistant", "content": f"a small answer {i}"}]
    turns.append({"role": "user", "content": "and now the last one"})
    ids = fit(encoder, turns, 256, 200)
    text = encoder.tokenizer.decode(ids, skip_special_tokens=False)
    assert len(ids) <= 256 - 64
    assert "be kind" in text
    assert "the last one" in text
    assert "tell me about 0" not in text


def test_nothing_to_answer_is_a_persons_mistake(adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import answer

    with pytest.raises(UserError, match="nothing to answer"):
        answer(*adapted, [{"role": "system", "content": "be kind"}], 5)
