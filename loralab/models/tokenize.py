"""Owns how an example becomes tokens, and which of them are learned from. No torch: the app's preview and the worker's training use this
same code, so what a person is shown is what the model sees.

Invariants: a conversation is rendered by the model's own chat template; the learned part of an answer includes the token that ends the
turn (a model that never learns to stop shows a healthy loss and is useless); a cut example is marked as cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from loralab.core.errors import UserError
from loralab.core.records import Example, Message
from loralab.models.catalog import template_for

# Private-use characters that mark the learned spans while a template is rendered; they have no meaning in any text.
_OPEN, _CLOSE = "\ue000", "\ue001"
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<turn|>", "</s>", "<|endoftext|>")


@dataclass(frozen=True)
class Encoded:
    """Token ids with, for each, whether it is learned from; `pieces` is the same as text."""

    ids: list[int]
    learned: list[bool]
    pieces: list[tuple[str, bool]]
    truncated: bool


class _Generation(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}`: the part of a template that the model writes."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{_OPEN}{caller()}{_CLOSE}"


class TextEncoder:
    """The tokenizer and chat template of one model folder (tokenizer.json, tokenizer_config.json, chat_template.jinja)."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "tokenizer.json").exists():
            raise UserError(
                f"The model in {folder.name} has no tokenizer.json.",
                "Choose a model that comes with a fast tokenizer.",
                code="no_tokenizer",
            )
        self.folder = folder
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        config = folder / "tokenizer_config.json"
        self.settings: dict[str, Any] = json.loads(config.read_text("utf-8")) if config.exists() else {}
        self.template_text = template_for(folder)
        try:
            self.template = _environment().from_string(self.template_text)
        except jinja2.TemplateError as error:
            what = f"The chat template of the model in {folder.name} cannot be read: {error}."
            raise UserError(what, "Download the model again, or choose another one.", code="bad_template") from error

    # ---- special tokens --------------------------------------------------------------------------------------------------
    def special(self, name: str) -> str:
        """Text of a special token (`bos_token`, `eos_token`, `pad_token`), or an empty string."""
        value = self.settings.get(name)
        return (value.get("content", "") if isinstance(value, dict) else value) or ""

    @cached_property
    def pad_id(self) -> int:
        """Id used to fill up short rows; never learned from, so end-of-text will do where there is none of its own."""
        found = self.tokenizer.token_to_id(self.special("pad_token") or self.special("eos_token"))
        return 0 if found is None else found

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer: the model's end-of-text and the turn ends its template writes."""
        names = {self.special("eos_token"), *(end for end in _TURN_ENDS if end in self.template_text)}
        generation = self.folder / "generation_config.json"
        listed = json.loads(generation.read_text("utf-8")).get("eos_token_id", []) if generation.exists() else []
        ids = {self.tokenizer.token_to_id(name) for name in names if name} | set(listed if isinstance(listed, list) else [listed])
        return frozenset(i for i in ids if i is not None)

    # ---- text -> tokens --------------------------------------------------------------------------------------------------
    def encode(self, example: Example, max_length: int, learn_from: str = "replies") -> Encoded:
        """One example as the model sees it, at most `max_length` tokens; the end is cut."""
        return self.many([example], max_length, learn_from)[0]

    def many(self, examples: Sequence[Example], max_length: int, learn_from: str = "replies") -> list[Encoded]:
        """Encode many examples on all cores."""
        rendered = [self.pieces(example, learn_from) for example in examples]
        texts = ["".join(text for text, _ in pieces) for pieces in rendered]
        plain = [i for i, example in enumerate(examples) if not example.messages]
        # Plain text gets the tokens the model expects around text (e.g. a beginning-of-text); a template writes its own.
        encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        if plain:
            for i, encoding in zip(plain, self.tokenizer.encode_batch([texts[i] for i in plain]), strict=True):
                encodings[i] = encoding
        return [_cut(pieces, encoding, max_length) for pieces, encoding in zip(rendered, encodings, strict=True)]

    def prompt_ids(self, messages: Iterable[Message | dict[str, str]]) -> list[int]:
        """Token ids of a conversation up to where the assistant's next answer begins."""
        return self.tokenizer.encode(self.prompt_text(messages), add_special_tokens=False).ids

    def prompt_text(self, messages: Iterable[Message | dict[str, str]]) -> str:
        """The same as text."""
        return _unmarked(self._render(list(messages), add_generation_prompt=True))

    def text_ids(self, text: str) -> list[int]:
        """Token ids of plain text to be continued."""
        return self.tokenizer.encode(text).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def pieces(self, example: Example, learn_from: str = "replies") -> list[tuple[str, bool]]:
        """The example as rendered text in pieces, each learned from or only read."""
        if not example.messages:
            return [(example.text, True)]
        messages = list(example.messages)
        try:
            text = self._render(messages, add_generation_prompt=False)
            pieces = self._split_marked(text) if _OPEN in text else self._split_by_prefix(messages, text)
        except jinja2.TemplateError as error:
            what = f"The model cannot read the conversation in row {example.row}: {error}."
            raise UserError(what, "Change it or leave it out, or choose another model.", code="template_refuses") from error
        return [(text, True) for text, _ in pieces] if learn_from == "everything" else pieces

    def _render(self, messages: Sequence[Message | dict[str, str]], *, add_generation_prompt: bool) -> str:
        plain = [m if isinstance(m, dict) else {"role": m.role, "content": m.content} for m in messages]
        clean = [{**m, "content": _unmarked(m["content"])} for m in plain]
        try:
            return self._rendered(clean, add_generation_prompt=add_generation_prompt)
        except jinja2.TemplateError:
            # Some templates (Gemma, Mistral) refuse a system turn: its words go in front of the first question instead.
            folded = _fold_system(clean)
            if folded == clean:
                raise
            return self._rendered(folded, add_generation_prompt=add_generation_prompt)

    def _rendered(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        return self.template.render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            bos_token=self.special("bos_token"),
            eos_token=self.special("eos_token"),
            pad_token=self.special("pad_token"),
            tools=None,
            documents=None,
        )

    def _split_marked(self, text: str) -> list[tuple[str, bool]]:
        pieces: list[tuple[str, bool]] = []
        for chunk in text.split(_OPEN):
            learned, closed, rest = chunk.partition(_CLOSE)
            if not closed:
                pieces.append((learned, False))
                continue
            end = next((e for e in (self.special("eos_token"), *_TURN_ENDS) if e and rest.startswith(e)), "")
            pieces += [(learned + end, True), (rest[len(end) :], False)]
        return [piece for piece in pieces if piece[0]]

    def _split_by_prefix(self, messages: Sequence[Message | dict[str, str]], text: str) -> list[tuple[str, bool]]:
        """For templates without marks: an answer is what the template adds after the prompt that asks for it."""
        pieces: list[tuple[str, bool]] = []
        done = 0
        for i, message in enumerate(messages):
            if (message["role"] if isinstance(message, dict) else message.role) != "assistant":
                continue
            before = self._render(messages[:i], add_generation_prompt=True)
            after = text if i == len(messages) - 1 else self._render(messages[: i + 1], add_generation_prompt=False)
            if not text.startswith(before) or not text.startswith(after):
                return self._split_by_content(messages, text)
            pieces += [(text[done : len(before)], False), (text[len(before) : len(after)], True)]
            done = len(after)
        return [piece for piece in [*pieces, (text[done:], False)] if piece[0]]

    def _split_by_content(self, messages: Sequence[Message | dict[str, str]], text: str) -> list[tuple[str, bool]]:
        """For templates that write a turn differently once it is an earlier one: the answers' own words and the ends of their turns."""
        plain = [m if isinstance(m, dict) else {"role": m.role, "content": m.content} for m in messages]
        marked = [{**m, "content": _around(m["content"])} if m["role"] == "assistant" else m for m in plain]
        try:
            found = self._rendered(marked, add_generation_prompt=False)
        except jinja2.TemplateError:
            found = self._rendered(_fold_system(marked), add_generation_prompt=False)
        if _unmarked(found) != text:
            return [(text, True)]  # the template rewrites the answers themselves: learning everything is the honest fallback
        pieces = self._split_marked(found)
        prompt = self._render(messages[:-1], add_generation_prompt=True)
        if plain[-1]["role"] == "assistant" and text.startswith(prompt):  # all that follows the last question is the model's to write
            pieces = [*_shortened(pieces, len(prompt)), (text[len(prompt) :], True)]
        return pieces


def _cut(pieces: list[tuple[str, bool]], encoding: Any, max_length: int) -> Encoded:
    """Mark tokens that hold any character to be learned, then cut to `max_length`."""
    marks = b"".join((b"\1" if is_learned else b"\0") * len(text) for text, is_learned in pieces)
    learned = []
    for (start, end), added in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
        first = start if end > start else max(end - 1, 0)  # trimmed offsets leave of a run of spaces only its end
        learned.append(not added and 1 in marks[first:end])
    ids = list(encoding.ids)
    if len(ids) <= max_length:
        return Encoded(ids, learned, pieces, truncated=False)
    kept = _shortened(pieces, encoding.offsets[max_length - 1][1])
    return Encoded(ids[:max_length], learned[:max_length], kept, truncated=True)


def _shortened(pieces: list[tuple[str, bool]], room: int) -> list[tuple[str, bool]]:
    """The first `room` characters."""
    kept: list[tuple[str, bool]] = []
    for text, is_learned in pieces:
        if room > 0:
            kept.append((text[:room], is_learned))
        room -= len(text)
    return kept


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as Hugging Face renders chat templates: sandboxed, blocks trimmed."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None, **_: json.dumps(value, ensure_ascii=False, indent=indent)
    known: dict[str, Any] = {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().astimezone().strftime(str(form))}
    environment.globals.update(known)
    return environment


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _around(text: str) -> str:
    """Marks inside the outer spaces, so that a template may trim them."""
    inner = _unmarked(text).strip()
    return text.replace(inner, f"{_OPEN}{inner}{_CLOSE}", 1) if inner else text


def _unmarked(text: str) -> str:
    return text.replace(_OPEN, "").replace(_CLOSE, "")


def _fold_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    return [{"role": "user", "content": joined}, *messages[2:]]
