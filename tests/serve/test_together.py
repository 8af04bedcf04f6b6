"""Many answers written at once are the answers written alone; a stop keeps the whole ones, and a batch that does not fit is split."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import models

pytestmark = pytest.mark.worker

COLOURS = ("grass", "the sky on a clear day in the middle of June", "snow", "a raven", "blood", "the sea below the cliffs of the north")


def asked(most: int = 24, **sampling: Any) -> list[Any]:
    from loralab.serve.generate import Sampling

    questions = [f"What is the colour of {thing}?" for thing in COLOURS]
    return [([{"role": "user", "content": q}], Sampling(most + i, seed=i, **sampling)) for i, q in enumerate(questions)]


@pytest.mark.parametrize("sampling", [{}, {"repetition_penalty": 1.1}, {"temperature": 0.8, "top_p": 0.95}])
def test_together_is_as_alone_with_and_without_the_adapter(adapted: tuple[Any, Any], sampling: dict[str, Any]) -> None:
    from loralab.serve.generate import adapter_off, collect, generate
    from loralab.serve.together import answers

    def alone() -> list[Any]:
        return [collect(generate(*adapted, prompt, how)) for prompt, how in asked(**sampling)]

    assert answers(*adapted, asked(**sampling)) == (on := alone())
    with adapter_off(adapted[0]):
        assert answers(*adapted, asked(**sampling)) == (off := alone())
    assert [text for text, _ in on] != [text for text, _ in off]


class Copied:
    """A row that takes the likeliest token, whatever it is."""

    def __init__(self, ids: list[int], most: int = 12) -> None:
        self.ids, self.most = ids, most
        self.begin()

    def begin(self) -> None:
        self.taken: list[int] = []

    def take(self, logits: Any) -> int | None:
        self.taken.append(int(logits.argmax()))
        return self.taken[-1] if len(self.taken) < self.most else None


def rows() -> list[Copied]:
    begin = list(range(5, 17))
    return [Copied([*begin, *range(20, 20 + 7 * i)], 6 + 2 * i) for i in range(1, 6)]


@pytest.mark.parametrize("family", sorted(models.FAMILIES))
def test_every_family_writes_padded_rows_as_it_writes_them_alone(family: str) -> None:
    from loralab.serve.together import write

    model = models.model(family).eval()
    together, apart = rows(), rows()
    assert write(model, together) == [True] * len(together)
    for row in apart:
        write(model, [row])
    assert [row.taken for row in together] == [row.taken for row in apart]


def test_what_many_rows_expect_next_is_one_product() -> None:
    """States that lie scattered would have the whole output matrix copied for every row."""
    from loralab.serve import together

    model, seen = models.model("llama").eval(), list[bool]()
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
    logits, _, _ = together._read([row.ids for row in rows()], model)
    hook.remove()
    assert len(seen) == 2, "what all begin with, and the rest"
    assert all(seen)
    for at, row in enumerate(rows()):
        assert logits[at].allclose(together.next_logits(model, row.ids, None)[0], atol=1e-5)


@pytest.mark.parametrize("family", sorted(models.FAMILIES))
def test_a_prompt_that_several_rows_have_is_read_once(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.serve import together

    model, real, read = models.model(family).eval(), together._logits, list[tuple[int, ...]]()
    single, several = rows()[1:3], [row for _ in range(3) for row in rows()[1:3]]
    together.write(model, single)
    monkeypatch.setattr(together, "_logits", lambda model, ids, *rest: read.append(tuple(ids.shape)) or real(model, ids, *rest))
    assert together.write(model, several) == [True] * 6
    assert max(rows for rows, length in read if length > 1) == 2
    assert max(rows for rows, length in read if length == 1) == 6
    assert [row.taken for row in several] == 3 * [row.taken for row in single]


def test_a_window_shorter_than_the_rows_is_not_filled_with_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.serve import together

    monkeypatch.setitem(models.FAMILIES["gemma2"][1], "sliding_window", 24)
    model, real, seen = models.model("gemma2").eval(), together._read, list[int]()
    monkeypatch.setattr(together, "_read", lambda prompts, of: seen.append(len(prompts)) or real(prompts, of))
    found = rows()
    together.write(model, found)
    assert seen[-len(found) :] == [1] * len(found)


def test_out_of_memory_in_a_batch_splits_it_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.serve import together

    model = models.model("llama").eval()
    whole, real, seen = rows(), together._logits, list[int]()
    together.write(model, whole)

    def cramped(model: Any, ids: Any, *rest: Any) -> Any:
        seen.append(len(ids))
        if len(ids) > 2 and len(seen) > 4:  # in the middle of writing
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return real(model, ids, *rest)

    monkeypatch.setattr(together, "_logits", cramped)
    split = rows()
    assert together.write(model, split) == [True] * len(split)
    assert max(seen) == 5
    assert seen[-1] <= 2
    assert [row.taken for row in split] == [row.taken for row in whole]


def test_a_stop_keeps_what_is_whole() -> None:
    from loralab.serve.together import write

    model, looks = models.model("llama").eval(), iter([False] * 9)
    found, everything = rows(), rows()
    write(model, everything)
    whole = write(model, found, lambda: next(looks, True))
    assert whole == [True, False, False, False, False]  # the first wants eight tokens, the next ten
    assert found[0].taken == everything[0].taken
