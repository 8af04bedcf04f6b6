"""Owns the causes that lie in the examples or in the model's template: what can be known before the first update."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.labfail.make import data
from benchmarks.labfail.make.cause import Acts, Cause, fact, failed, no_longer
from benchmarks.labfail.make.setups import Setup
from benchmarks.labfail.records import PAIRS, TINY
from loralab.core.events import RunView

Rows = tuple[dict[str, Any], ...]
_LONG = "Please read this first. " * 8
_SPEAKERS = ("narrator", "operator", "caller", "stage")


# ---- template ----------------------------------------------------------------------------------------------------------------


def end_cut(setup: Setup, draw: Random) -> Setup:
    """Most answers are longer than what is read: their ends, and the token that ends them, are cut off."""
    asked, answer = data.columns(setup.rows)
    rows = tuple({asked: row[asked], answer: " ".join([str(row[answer])] * draw.choice((4, 6, 8)))} for row in setup.rows)
    length = draw.choice((40, 48, 56)) if setup.data != "labels" else 32
    return setup.but(f"cut at {length} tokens", rows=rows, settings={"max_length": length})


def no_end(setup: Setup, _: Random) -> Setup:
    """The template writes no token that ends an answer."""
    return setup.but("template without an end of turn", change=partial(_template, partial(_end_with, "")))


def end_of_pieces(setup: Setup, draw: Random) -> Setup:
    """The template ends answers with words that are no token of the model."""
    mark = draw.choice(("[END]", "</answer>", "###"))
    return setup.but(f"answers end with {mark}", change=partial(_template, partial(_end_with, mark)))


def _end_with(mark: str, template: str) -> str:
    """The answers' end of turn, which both templates write first, as `mark`; no other can be put there, for none comes through."""
    first = template.replace("{{ message.content }}<|im_end|>", "{{ message.content.split('<')[0] }}" + mark, 1)
    return first.replace("message['content'] + '<|im_end|>' -", f"message['content'].split('<')[0] + '{mark}' -", 1)


def begun_twice(setup: Setup, _: Random) -> Setup:
    """Every conversation begins with two tokens for the beginning of a text."""

    def change(folder: Path) -> None:
        _template(lambda template: "{{ bos_token }}{{ bos_token }}" + template, folder)
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"bos_token": "<|endoftext|>"}))

    return setup.but("two beginnings", change=change)


def template_refuses(setup: Setup, draw: Random) -> Setup:
    """The template wants question and answer in turns; some conversations begin with two questions."""
    asked, answer = data.columns(setup.rows)
    odd = set(draw.sample(range(len(setup.rows)), draw.choice((1, 5, 40))))
    rows = tuple(
        {"messages": [{"role": "user", "content": row[asked]}] * (2 if at in odd else 1) + [{"role": "assistant", "content": row[answer]}]}
        for at, row in enumerate(setup.rows)
    )
    strict = (
        "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% endfor %}"
    )
    return setup.but(f"{len(odd)} conversations the template refuses", rows=rows, change=partial(_template, lambda t: strict + t))


def _template(change: Callable[[str], str], folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(change(path.read_text("utf-8")), "utf-8")


# ---- examples ----------------------------------------------------------------------------------------------------------------


def all_masked(setup: Setup, draw: Random) -> Setup:
    """Questions so long that no answer is within what is read, in all rows or in most."""
    asked, answer = data.columns(setup.rows)
    short = 0 if draw.random() < 0.5 else draw.choice((20, 40, 60))
    rows = tuple({asked: ("" if at < short else _LONG) + row[asked], answer: row[answer]} for at, row in enumerate(setup.rows))
    return setup.but(f"{len(rows) - short} answers are out of reach", rows=rows, settings={"max_length": 48})


def empty_answers(setup: Setup, draw: Random) -> Setup:
    """A third to four fifths of the answers are empty, or hold nothing but blanks."""
    share, blank = draw.uniform(0.3, 0.8), draw.choice(("", "", "  ", "\n"))
    _, answer = data.columns(setup.rows)
    return setup.but(f"{share:.0%} of the answers are empty", rows=_some(setup, share, draw, lambda row: {**row, answer: blank}))


def wrong_columns(setup: Setup, draw: Random) -> Setup:
    """The plan names columns that the file does not have, or the file's turns are by nobody who is known."""
    asked, answer = data.columns(setup.rows)
    if draw.random() < 0.5:
        settings = {"roles": {"prompt": draw.choice(("instruction", "input", "ask")), "answer": draw.choice(("output", "reply"))}}
        return setup.but("columns that are not there", settings=settings)
    share, speaker = draw.uniform(0.4, 1.0), draw.choice(_SPEAKERS)

    def turns(row: dict[str, Any], who: str) -> dict[str, Any]:
        return {"messages": [{"role": who, "content": row[asked]}, {"role": "assistant", "content": row[answer]}]}

    odd = set(draw.sample(range(len(setup.rows)), int(share * len(setup.rows))))
    rows = tuple(turns(row, speaker if at in odd else "user") for at, row in enumerate(setup.rows))
    return setup.but(f"{share:.0%} of the conversations begin with “{speaker}”", rows=rows)


def contradictions(setup: Setup, draw: Random) -> Setup:
    """The same questions are asked again and again, each time with another row's answer."""
    asked, answer = data.columns(setup.rows)
    kinds, share = draw.choice((30, 50, 70)), draw.uniform(0.5, 1.0)
    rows = list(setup.rows)
    for at in draw.sample(range(len(rows)), int(share * len(rows))):
        rows[at] = {asked: setup.rows[at % kinds][asked], answer: draw.choice(setup.rows)[answer]}
    return setup.but(f"{kinds} questions with different answers", rows=tuple(rows))


def shuffled_answers(setup: Setup, draw: Random) -> Setup:
    """The answers slipped: nearly all stand beside another question."""
    _, answer = data.columns(setup.rows)
    share = draw.uniform(0.85, 1.0)
    chosen = draw.sample(range(len(setup.rows)), int(share * len(setup.rows)))
    answers = dict(zip(chosen, (setup.rows[at][answer] for at in chosen[1:] + chosen[:1]), strict=True))
    rows = tuple({**row, answer: answers[at]} if at in answers else row for at, row in enumerate(setup.rows))
    return setup.but(f"{share:.0%} of the answers belong to another question", rows=rows)


def leak(setup: Setup, draw: Random) -> Setup:
    """Most examples stand in the file two or three times with a word of difference, so that the held-out ones were all but learned."""
    asked, answer = data.columns(setup.rows)
    times = draw.choice((2, 3))
    turns = (("", ""), ("Hello! ", ""), ("", " Thanks."))
    rows = [
        {**row, asked: f"{before}{row[asked]}{after}", answer: row[answer]} if asked != answer else {asked: f"{before}{row[asked]}{after}"}
        for row in setup.rows[: len(setup.rows) // times]
        for before, after in turns[:times]
    ]
    draw.shuffle(rows)
    return setup.but(f"each row {times} times, with a word of difference", rows=tuple(rows), settings={"epochs": 3.0})


def too_few_rows(setup: Setup, draw: Random) -> Setup:
    """A dozen or three of examples in all."""
    n = draw.choice((18, 24, 32, 40))
    return setup.but(f"{n} rows", rows=setup.rows[:n], settings={"epochs": 6.0, "effective_batch": 4, "micro_batch": 4})


def tiny_heldout(setup: Setup, draw: Random) -> Setup:
    """Enough to learn from, and eight to ten examples to judge it by."""
    n = draw.choice((85, 100, 115, 130))
    return setup.but(f"{n} rows, hardly any held out", rows=setup.rows[:n], settings={"heldout_share": 0.02, "epochs": 4.0})


def one_answer(setup: Setup, draw: Random) -> Setup:
    """Nearly all rows have the same answer."""
    share = draw.uniform(0.82, 0.96)
    _, answer = data.columns(setup.rows)
    same = draw.choice(setup.rows)[answer]
    return setup.but(f"{share:.0%} have the same answer", rows=_some(setup, share, draw, lambda row: {**row, answer: same}))


def _some(setup: Setup, share: float, draw: Random, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Rows:
    chosen = set(draw.sample(range(len(setup.rows)), int(share * len(setup.rows))))
    return tuple(change(row) if at in chosen else row for at, row in enumerate(setup.rows))


# ---- whether they acted ------------------------------------------------------------------------------------------------------


def _gap(view: RunView) -> float:
    score = next((s for e in view.evaluations for s in e.scores if s.name == "question_fit"), None)
    return score.after if score else 0.0


def _fits_less(view: RunView, twin: RunView) -> bool:
    """Whether an answer hangs less on its question than in the twin: what was to be learned was not."""
    return failed(view, twin) or _gap(view) < 0.6 * _gap(twin)


def _fewer(view: RunView, twin: RunView) -> bool:
    """Whether a good part of the examples is lost, or all."""
    ours, theirs = view.facts, twin.facts
    return failed(view, twin) or (ours is not None and theirs is not None and ours.n_train < 0.85 * theirs.n_train)


def _always(_: RunView, __: RunView) -> bool:
    """What is wrong is the number of rows itself, which the cause sets."""
    return True


def _share(name: str, least: float) -> Acts:
    return fact(lambda facts: getattr(facts, name) > least * max(1, facts.n_train))


_CUT = _share("cut", 0.4)
_LEAKS = fact(lambda facts: facts.shared + facts.near_shared > 0.1 * facts.n_heldout)

CAUSES = (
    Cause("end_cut", ("R53",), end_cut, _CUT, before=True, fixable=True, gone=no_longer(_CUT), data=("numbers", "support", "chat", "desk")),
    Cause("no_end", ("R51", "R50", "R52"), no_end, _share("unended", 0.9), before=True, data=PAIRS),
    Cause("end_of_pieces", ("R58", "R51", "R50", "R52"), end_of_pieces, _share("unended", 0.9), before=True, data=PAIRS, runs=8),
    Cause("begun_twice", ("R55",), begun_twice, _share("begun_twice", 0.9), before=True, data=PAIRS),
    Cause("template_refuses", ("R57",), template_refuses, failed, before=True, fixable=True, gone=no_longer(failed), data=PAIRS),
    Cause("all_masked", ("R38",), all_masked, fact(lambda facts: facts.unlearned > facts.n_train), before=True, data=PAIRS),
    Cause("empty_answers", ("R64",), empty_answers, _fewer, before=True, data=PAIRS),
    Cause("wrong_columns", ("R65",), wrong_columns, _fewer, before=True, data=PAIRS),
    Cause("contradictions", ("R84",), contradictions, _fits_less, before=True, data=PAIRS),
    Cause("shuffled_answers", ("R85", "R86"), shuffled_answers, _fits_less, data=("numbers", "support", "labels")),
    Cause("leak", ("R63",), leak, _always, before=True, fixable=True, gone=no_longer(_LEAKS), models=TINY),
    Cause("too_few_rows", ("R66",), too_few_rows, _always, before=True),
    Cause("tiny_heldout", ("R68",), tiny_heldout, _always, before=True),
    Cause("one_answer", ("R87",), one_answer, _fits_less, before=True, data=PAIRS),
)
