"""Owns how an example becomes tokens, and which of them are learned from. No torch: the app's preview and the worker's training use this
same code, so what a person is shown is what the model sees.

Invariants: a conversation is rendered by the model's own chat template; the learned part of an answer includes the token that ends the
turn (a model that never learns to stop shows a healthy loss and is useless); a cut example is marked as cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from tokenizers import Tokenizer

from loralab.core.errors import UserError
from loralab.core.records import Example, Message
from loralab.models.chat_template import CLOSE, OPEN, Vocabulary, completed, unmarked
from loralab.models.model_folder import own_template, read_json, template_for
from loralab.models.tool_calls import calls_tools, for_template, writes_calls

_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<turn|>", "</s>", "<|endoftext|>")


@dataclass(frozen=True)
class Encoded:
    """Token ids with, for each, whether it is learned from; `pieces` is the same as text."""

    ids: list[int]
    learned: list[bool]
    pieces: list[tuple[str, bool]]
    truncated: bool


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
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.settings = read_json(folder / "tokenizer_config.json")
            self._generation = read_json(folder / "generation_config.json")
            template = template_for(folder)
        except Exception as error:  # what the tokenizer's library raises has no parent of its own
            what = f"A file of the tokenizer in {folder.name} is damaged ({error})."
            raise UserError(what, "Download the model again, or choose another one.", code="damaged_tokenizer") from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        try:
            self.chat = completed(template, self._vocabulary())
        except jinja2.TemplateError as error:
            what = f"The chat template of the model in {folder.name} cannot be read: {error}."
            raise UserError(what, "Download the model again, or choose another one.", code="bad_template") from error

    @property
    def template_text(self) -> str:
        """The chat template as it is used, and as it goes out with what was learned: see loralab.models.chat_template."""
        return self.chat.text

    @property
    def template(self) -> jinja2.Template:
        """The same, to be rendered."""
        return self.chat.compiled

    def keep_template(self, target: Path) -> None:
        """Put the template as it is used into a folder whose own is another, or which has none."""
        if own_template(target) != self.template_text:
            (target / "chat_template.jinja").write_text(self.template_text, "utf-8")

    def _vocabulary(self) -> Vocabulary:
        added = self.tokenizer.get_added_tokens_decoder()
        listed = [self.tokenizer.id_to_token(i) or "" for i in self._listed_ends()]
        likely = dict.fromkeys(name for name in (self.special("eos_token"), *listed, *_TURN_ENDS) if name)
        ends = tuple(
            name for name in likely if self.tokenizer.encode(name, add_special_tokens=False).ids == [self.tokenizer.token_to_id(name)]
        )
        special = {token.content for token in added.values() if token.special} | set(ends)
        names = {name: self.special(name) for name in ("bos_token", "eos_token", "pad_token")}
        return Vocabulary(names, tuple(sorted(special, key=lambda mark: (-len(mark), mark))), ends)

    @cached_property
    def marks(self) -> frozenset[int]:
        """Ids of tokens that are no part of any text."""
        return frozenset(number for number, token in self.tokenizer.get_added_tokens_decoder().items() if token.special)

    def _listed_ends(self) -> list[int]:
        """Ids that the model's papers call the end, its generation settings' first."""
        found: list[int] = []
        for name in ("generation_config.json", "config.json"):
            listed = read_json(self.folder / name).get("eos_token_id")
            found += [i for i in (listed if isinstance(listed, list) else [listed]) if isinstance(i, int)]
        return [i for i in found if 0 <= i < self.tokenizer.get_vocab_size()]

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
        names = {self.special("eos_token"), *self.chat.ends, *(end for end in _TURN_ENDS if end in self.template_text)}
        listed = self._generation.get("eos_token_id")
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
        return self._render(list(messages), ask=True)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of plain text to be continued, without the end that some tokenizers put behind every text."""
        found = self.tokenizer.encode(text)
        added, ids = found.special_tokens_mask, found.ids
        while len(ids) > 1 and added[len(ids) - 1]:
            ids = ids[:-1]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def pieces(self, example: Example, learn_from: str = "replies") -> list[tuple[str, bool]]:
        """The example as rendered text in pieces, each learned from or only read."""
        if not example.messages:
            return [(example.text, True)]
        if not self.reads(example):
            return []  # without its calls it would say something else
        messages = list(example.messages)
        try:
            pieces = self._split(messages)
            return self._everything(messages, pieces) if learn_from == "everything" else pieces
        except jinja2.TemplateError as error:
            what = f"The model cannot read the conversation in row {example.row}: {error}."
            raise UserError(what, "Change it or leave it out, or choose another model.", code="template_refuses") from error

    def reads(self, example: Example) -> bool:
        """Whether the model's template writes all that an example says: one that knows no tools leaves calls out without a word."""
        return not calls_tools(example) or self.writes_calls

    @cached_property
    def writes_calls(self) -> bool:
        """Whether the template writes calls of tools and their results."""
        return writes_calls(lambda messages: self._render(messages, ask=False))

    def _everything(self, messages: list[Message], pieces: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
        """All of it learned, but for answers that must not be; where these cannot be told from the rest, none of it."""
        if all(message.learn for message in messages):
            return [(text, True) for text, _ in pieces]
        if not any(learned for _, learned in pieces):
            return pieces
        kept_out = self._split([m.model_copy(update={"learn": not m.learn}) if m.role == "assistant" else m for m in messages])
        told = any(marked for _, marked in kept_out)
        return [(text, told and not marked) for text, marked in kept_out]

    def _split(self, messages: list[Message]) -> list[tuple[str, bool]]:
        marked = self._marked(messages, ask=False)
        text = unmarked(marked)
        if not any(message.role == "assistant" and message.learn for message in messages):
            return [(text, False)]
        if OPEN not in marked or self.chat.bare:
            return self._split_by_prefix(messages, text)
        answers = [message.learn for message in messages if message.role == "assistant"]
        if not all(answers) and marked.count(OPEN) != len(answers):
            return [(text, False)]  # which mark belongs to which answer is not known: nothing wrong is learned
        return self._split_marked(marked, answers)

    def _render(self, messages: Sequence[Message | dict[str, str]], *, ask: bool) -> str:
        return unmarked(self._marked(messages, ask=ask))

    def _marked(self, messages: Sequence[Message | dict[str, str]], *, ask: bool) -> str:
        """As text in which what is learned is marked, where the template marks it."""
        plain = [m if isinstance(m, dict) else for_template(m) for m in messages]
        clean = [{**m, "content": unmarked(m["content"])} for m in plain]
        try:
            return self.chat.rendered(clean, ask=ask)
        except jinja2.TemplateError:
            # Some templates (Gemma, Mistral) refuse a system turn: its words go in front of the first question instead.
            folded = _fold_system(clean)
            if folded == clean:
                raise
            return self.chat.rendered(folded, ask=ask)

    def _split_marked(self, text: str, answers: Sequence[bool] = ()) -> list[tuple[str, bool]]:
        """By marks, in the order of `answers`: whether each is learned from (all, where nothing is said)."""
        pieces: list[tuple[str, bool]] = []
        is_learned = iter(answers)
        for chunk in text.split(OPEN):
            learned, closed, rest = chunk.partition(CLOSE)
            if not closed:
                pieces.append((learned, False))
                continue
            ended = learned.endswith(self._ends)
            end = next((e for e in self._ends if rest.lstrip().startswith(e)), "") if not ended else ""
            cut = rest.find(end) + len(end)
            pieces += [(learned + rest[:cut], next(is_learned, True)), (rest[cut:], False)]
        return [piece for piece in pieces if piece[0]]

    def _split_by_prefix(self, messages: Sequence[Message], text: str) -> list[tuple[str, bool]]:
        """For templates without marks: an answer is what the template adds after the prompt that asks for it."""
        pieces: list[tuple[str, bool]] = []
        done = 0
        for i, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self.begun(messages[:i])
            after = text if i == len(messages) - 1 else self._render(messages[: i + 1], ask=False)
            if before is None or not text.startswith(before) or not text.startswith(after):
                return self._split_by_content(messages, text)
            pieces += [(text[done : len(before)], False), (text[len(before) : len(after)], message.learn)]
            done = len(after)
        return [piece for piece in [*pieces, (text[done:], False)] if piece[0]]

    def begun(self, messages: Sequence[Message]) -> str | None:
        """What asks for an answer to these turns; None where the template does not take them, as where an answer comes first."""
        try:
            return self._render(messages, ask=True)
        except jinja2.TemplateError:
            return None

    @cached_property
    def _ends(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (*self.chat.ends, self.special("eos_token"), *_TURN_ENDS))))

    def _split_by_content(self, messages: Sequence[Message], text: str) -> list[tuple[str, bool]]:
        """For templates that write a turn differently once it is an earlier one: the answers' own words and the ends of their turns."""
        if any(message.calls and message.learn for message in messages[:-1]):
            return [(text, False)]  # where an earlier call begins and ends cannot be told
        learned = [message.role == "assistant" and message.learn for message in messages]
        plain = [for_template(message) for message in messages]
        marked = [
            {**m, "content": _around(m["content"]) if is_learned else m["content"]} for m, is_learned in zip(plain, learned, strict=True)
        ]
        try:
            found = self.chat.rendered(marked, ask=False)
        except jinja2.TemplateError:
            found = self.chat.rendered(_fold_system(marked), ask=False)
        if unmarked(found) != text:
            # The template rewrites the answers themselves: learning everything is the honest fallback, but for what must not be learned.
            return [(text, all(message.learn for message in messages if message.role == "assistant"))]
        pieces = self._split_marked(found)
        prompt = self.begun(messages[:-1])
        if messages[-1].role == "assistant" and messages[-1].learn and prompt is not None and text.startswith(prompt):
            # All that follows the last question is the model's to write.
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


def _around(text: str) -> str:
    """Marks inside the outer spaces, so that a template may trim them."""
    inner = unmarked(text).strip()
    return text.replace(inner, f"{OPEN}{inner}{CLOSE}", 1) if inner else text


def _fold_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    tools = {"tools": messages[0]["tools"]} if messages[0].get("tools") else {}
    return [{**messages[1], "content": joined, **tools}, *messages[2:]]
