"""Owns the chat template as it is used: the model's own, completed where asking would not begin as learning does or an answer has no end.

Invariants: nothing is assumed of a template: it is rendered with and without the request for an answer, and compared; what it lacks is put
into its own text, so that every program that reads it asks and ends alike; what is put in was tried; a template that lacks nothing stays
as it is, letter by letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from loralab.models.tool_calls import tools_of

# Private-use characters that mark the learned spans while a template is rendered; they have no meaning in any text.
OPEN, CLOSE = "\ue000", "\ue001"
Turn = dict[str, Any]
Added = Literal["system", "beginning", "end"]
QUESTIONS, ANSWERS = ("What comes first here?", "And what is next to it?"), ("This one comes first.", "That other one is next.")
_THOUGHTS = re.compile(r"<(think|thought|thinking|reasoning)>.*?</\1>", re.DOTALL)  # a model may write its thoughts before the answer
_LAST_BREAK = re.compile(r"\r?\n\Z")
_SYSTEM = "{%- if messages[0]['role'] != 'system' -%}{%- set messages = [{'role': 'system', 'content': ''}] + messages -%}{%- endif -%}"
_SILENT = "{%- set asked = add_generation_prompt -%}{%- set add_generation_prompt = false -%}"
_ENDED = (
    "{%%- set turns = namespace(all=[]) -%%}{%%- for turn in messages -%%}"
    "{%%- if turn['role'] == 'assistant' and turn['content'] is string and not turn['tool_calls']%s -%%}"
    "{%%- set turns.all = turns.all + [{'role': 'assistant', 'content': turn['content'] + %s}] -%%}"
    "{%%- else -%%}{%%- set turns.all = turns.all + [turn] -%%}{%%- endif -%%}{%%- endfor -%%}{%%- set messages = turns.all -%%}"
)
_WHICH = {"all": "", "last": " and loop.last", "earlier": " and not loop.last"}
_SHUT = "{{ '' }}"  # an expression: unlike a block it leaves the letters beside it alone


@dataclass(frozen=True)
class Vocabulary:
    """What must be known of a tokenizer: its special tokens by role, which texts are one token of it, and what may end an answer."""

    names: dict[str, str]  # bos_token, eos_token, pad_token, as text
    marks: tuple[str, ...]  # every special token, the longest first
    ends: tuple[str, ...]  # the likeliest end first


@dataclass(frozen=True)
class ChatTemplate:
    """A template ready to be rendered. `ends`: the marks that stand directly after an answer, the last one's first; none: it has none.

    `alike`: whether asking begins as learning does; `bare`: marks leave words before the answer unlearned that asking does not write.
    """

    text: str
    compiled: jinja2.Template
    names: dict[str, str]
    added: tuple[Added, ...] = ()
    ends: tuple[str, ...] = ()
    alike: bool = True
    bare: bool = False

    def rendered(self, messages: Sequence[Turn], *, ask: bool) -> str:
        """The conversation as text; with `ask`, up to where the next answer begins. Raises jinja2.TemplateError where it is refused."""
        try:
            told: dict[str, Any] = {"tools": tools_of(messages), "documents": None, **self.names}
            return self.compiled.render(messages=list(messages), add_generation_prompt=ask, **told)
        except jinja2.TemplateError:
            raise
        except Exception as error:  # a template is somebody else's program: it may fail in any way
            raise jinja2.TemplateError(f"{type(error).__name__}: {error}") from error


def completed(own: str, vocabulary: Vocabulary) -> ChatTemplate:
    """The template `own`, with what it lacks as far as that can be added. Raises jinja2.TemplateError where it cannot be read."""
    used = ChatTemplate(own, _environment().from_string(own), vocabulary.names)
    try:
        used = _takes_talks(used)
        whole = _plain(used, _talk(2))
    except jinja2.TemplateError:
        return used  # it refuses even this: which conversations it refuses is told of each
    if any(answer not in whole for answer in ANSWERS):
        return used
    used = _asking(used)
    used = _ending(used, vocabulary)
    return replace(used, bare=_leaves_bare(used))


def _talk(turns: int, *, asked: bool = False) -> list[Turn]:
    """A conversation of so many turns; `asked`: without its last answer."""
    found: list[Turn] = []
    for question, answer in zip(QUESTIONS[:turns], ANSWERS[:turns], strict=True):
        found += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return found[:-1] if asked else found


def _plain(used: ChatTemplate, talk: Sequence[Turn], *, ask: bool = False) -> str:
    return unmarked(used.rendered(talk, ask=ask))


def _changed(used: ChatTemplate, added: Added, *, before: str = "", after: str = "") -> ChatTemplate:
    inner = _LAST_BREAK.sub("", used.text) if after else used.text  # Jinja drops the last line break of a text, and of that alone
    text = f"{before}{_SHUT if before else ''}{inner}{after}"
    return replace(used, text=text, compiled=_environment().from_string(text), added=(*used.added, added))


def _written(text: str) -> str:
    """A text as a template writes it down."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + "'"


# ---- what a template may ask for -------------------------------------------------------------------------------------------
def _takes_talks(used: ChatTemplate) -> ChatTemplate:
    """The template, given an empty system message where it refuses a conversation that has none."""
    try:
        _plain(used, _talk(1))
    except jinja2.TemplateError:
        used = _changed(used, "system", before=_SYSTEM)
        _plain(used, _talk(1))
    return used


# ---- asking begins as learning does ----------------------------------------------------------------------------------------
def _asking(used: ChatTemplate) -> ChatTemplate:
    """The template, so that what asks for an answer is what stands before one; `alike` is false where that cannot be."""
    if _is_alike(used):
        return used
    for made in _asking_otherwise(used):
        if _is_alike(made) and all(_plain(made, _talk(turns)) == _plain(used, _talk(turns)) for turns in (1, 2)):
            return made
    return replace(used, alike=False)


def _is_alike(used: ChatTemplate) -> bool:
    """Whether learning goes on where asking stops, with nothing between but blanks and thoughts, which are the model's to write."""
    try:
        gaps = [_gap(_plain(used, _talk(turns, asked=True), ask=True), _plain(used, _talk(turns)), turns) for turns in (1, 2)]
    except jinja2.TemplateError:
        return False
    return all(gap is not None and not _THOUGHTS.sub("", gap).strip() for gap in gaps)


def _gap(begun: str, whole: str, turns: int) -> str | None:
    """What stands between a beginning and the last answer; None where the whole begins otherwise."""
    at = whole.rfind(ANSWERS[turns - 1])
    return whole[len(begun) : at] if whole.startswith(begun) and len(begun) <= at else None


def _asking_otherwise(used: ChatTemplate) -> Iterator[ChatTemplate]:
    """The template with the text before an answer written out, without its own request for an answer where it has one."""
    try:
        talk = _talk(1, asked=True)
        told = _plain(used, talk)
        gap = _gap(told, _plain(used, _talk(1)), 1)
        asks = _plain(used, talk, ask=True) != told
    except jinja2.TemplateError:
        return
    if gap is None:
        return
    beginning = _written(gap.rstrip(" "))  # a blank belongs to the word that follows it
    if asks:
        yield _changed(used, "beginning", before=_SILENT, after=f"{{{{ {beginning} if asked else '' }}}}")
    else:
        yield _changed(used, "beginning", after=f"{{{{ {beginning} if add_generation_prompt else '' }}}}")


def _leaves_bare(used: ChatTemplate) -> bool:
    """Whether a template's own marks leave something unlearned between what asks for an answer and the answer."""
    try:
        begun, whole = _plain(used, _talk(1, asked=True), ask=True), used.rendered(_talk(1), ask=False)
    except jinja2.TemplateError:
        return False
    return OPEN in whole and whole.startswith(begun) and whole.find(OPEN) > len(begun)


# ---- every answer has an end -----------------------------------------------------------------------------------------------
def _ending(used: ChatTemplate, vocabulary: Vocabulary) -> ChatTemplate:
    """The template, so that a mark that ends it stands after every answer; `ends` is empty where that cannot be."""
    if ends := _ends(used, vocabulary):
        return replace(used, ends=ends)
    for which, end in _candidates(used, vocabulary):
        made = _changed(used, "end", before=_ENDED % (_WHICH[which], _written(end)))
        if _same_but(made, used, end) and _is_alike(made) >= used.alike and (ends := _ends(made, vocabulary)):
            return replace(made, ends=ends)
    return used


def _ends(used: ChatTemplate, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The marks after the last answer and after an earlier one; nothing where one has none."""
    alone, last = (_mark_after(_plain(used, _talk(turns)), turns - 1, vocabulary) for turns in (1, 2))
    earlier = _mark_after(_plain(used, _talk(2)), 0, vocabulary)
    if not (alone and last and earlier) or (earlier != last and earlier in _openers(used, vocabulary)):
        return ()
    return tuple(dict.fromkeys((last, alone, earlier)))


def _mark_after(whole: str, place: int, vocabulary: Vocabulary) -> str:
    """The special token that follows an answer with at most blanks between; empty where something else does."""
    follows = whole[whole.rfind(ANSWERS[place]) + len(ANSWERS[place]) :].lstrip()
    return next((mark for mark in vocabulary.marks if follows.startswith(mark)), "")


def _openers(used: ChatTemplate, vocabulary: Vocabulary) -> set[str]:
    """The special tokens that a question begins with: after an answer they begin the next turn and do not end this one."""
    text = _plain(used, _talk(1, asked=True)).removeprefix(vocabulary.names.get("bos_token") or "\0").lstrip()
    return {mark for mark in vocabulary.marks if text.startswith(mark)}


def _candidates(used: ChatTemplate, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """What may be put after which answers: the mark the others have; else the model's own end, or the mark of the next turn."""
    whole, openers = _plain(used, _talk(2)), _openers(used, vocabulary)
    last, earlier = (_mark_after(whole, place, vocabulary) for place in (1, 0))
    if last:
        yield "earlier", last
    if earlier and earlier not in openers:
        yield "last", earlier
    for end in dict.fromkeys((*vocabulary.ends, *sorted(openers))):
        yield "all", end


def _same_but(made: ChatTemplate, used: ChatTemplate, end: str) -> bool:
    """Whether two templates differ in nothing but ends of answers."""
    pairs = [(_plain(made, _talk(turns)), _plain(used, _talk(turns))) for turns in (1, 2)]
    return all(a.replace(end, "") == b.replace(end, "") for a, b in pairs)


# ---- rendering -------------------------------------------------------------------------------------------------------------
class _Generation(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}`: the part of a template that the model writes."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


def unmarked(text: str) -> str:
    """A text without the marks of what is learned."""
    return text.replace(OPEN, "").replace(CLOSE, "")


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as Hugging Face renders chat templates: sandboxed, blocks trimmed."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None, **_: json.dumps(value, ensure_ascii=False, indent=indent)
    moment: Callable[[str], str] = lambda form: datetime.now().astimezone().strftime(str(form))  # noqa: E731
    known: dict[str, Any] = {"raise_exception": _refuse, "strftime_now": moment}
    environment.globals.update(known)
    return environment


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)
