"""Owns what a conversation is, however a file writes it: one normaliser from any value to turns.

Invariants: a value is read wholly as turns or not at all (None); what a turn says besides its words is read or named in `unused`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from loralab.core.records import Call
from loralab.datasets.conversations import transcripts
from loralab.datasets.conversations.contents import CALLING, PICTURES, THOUGHTS, Said, calls_of, said_in, thought_in
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.literals import parsed
from loralab.datasets.tables.columns import WORDS, key

Speaker = Literal["system", "user", "assistant", "tool", "other"]  # other: someone who goes by a name

_SAID_BY: dict[Speaker, tuple[str, ...]] = {
    "user": (
        *("user", "human", "prompter", "question", "questioner", "customer", "client", "student", "patient", "usr", "person", "asker"),
        *("seeker", "visitor", "caller", "enduser", "用户", "用戶", "humanmessage", "nutzer", "benutzer", "kunde", "usuario", "utente"),
    ),
    "assistant": (
        *("assistant", "gpt", "bot", "model", "chatgpt", "bing", "bard", "agent", "answer", "ai", "chatbot", "claude", "llama", "gemini"),
        *("supporter", "support", "operator", "representative", "clerk", "staff", "tutor", "doctor", "therapist", "counselor"),
        *("helper", "助手", "助理", "客服", "机器人", "aimessage", "assistent", "asistente", "assistente"),
    ),
    "system": ("system", "developer", "systemmessage", "系统", "系統"),
    "tool": (
        *("tool", "function", "observation", "toolresponse", "toolresult", "ipython", "environment", "functionresponse", "functionresult"),
        "toolmessage",
    ),
}
ROLE_OF: dict[str, Speaker] = {key(word): role for role, words in _SAID_BY.items() for word in words}

_FLAGS = {"isuser": ("user", "assistant"), "fromuser": ("user", "assistant"), "isbot": ("assistant", "user")}
_WHO = (
    *("role", "from", "speaker", "author", "sender", "creator", "who", "participant", "user", "username", "agent", "name", "type"),
    *("角色", "userid", "senderid", "speakerid", "authorid"),
)
_WHAT = ("content", "value", "text", "message", "parts", "utterance", "body", "mes", "msg", "contents", "内容", "內容")
_ASKED = (*WORDS["prompt"], "input", "context_question", *_SAID_BY["user"])
_ANSWERED = (*WORDS["answer"], *_SAID_BY["assistant"])
_PAIR: dict[str, Speaker] = {
    **{key(word): "user" for word in _ASKED},
    **{key(word): "assistant" for word in _ANSWERED},
    **{key(word): "system" for word in (*WORDS["system"], *_SAID_BY["system"])},
}
_NESTED = tuple(map(key, (*WORDS["messages"], "contents", "chat_messages", "body", "data", "input", "history", "items", "utterances")))
_NOT_LEARNED = ("weight", "lossweight", "loss", "train", "trainable", "training", "learn", "istrainable")
_CALLS = ("toolcalls", "functioncall", "toolcall")
_DEEPEST = 4  # wrappings around a conversation
_LONGEST_NAME = 60
_USUAL = (("role", "content"), ("from", "value"))
_FALSE = (False, 0, "0", "false", "False", "no", "0.0")
_NUMBERED = re.compile(r"(?:turn|round|message|msg)?[ _-]?\d+", re.IGNORECASE)
_LABELLED = re.compile(r"\s*([^\W\d_][\w ]{0,20}?)\s*:\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Turn:
    """What was said at once by one speaker."""

    role: Speaker
    content: str
    name: str = ""  # how the file names the speaker
    learn: bool = True  # False: the file says that it is only read
    thoughts: str = ""
    pictures: int = 0
    calls: tuple[Call, ...] = ()
    unused: tuple[str, ...] = ()  # fields of the file that hold something and are not read


def turns_of(value: Any, *, alternate: bool = False) -> list[Turn] | None:
    """The turns of a conversation, or None where the value is none.

    `alternate`: its column says that it is a conversation, so bare texts are said in turn, and lists of two are question and answer.
    """
    value = parsed(value)
    written = transcripts.turns(value) if alternate and isinstance(value, str) else ()
    turns = [Turn(message.role, message.content, message.role) for message in written] or _turns(value, alternate, 0)
    return _with_machine(turns) if turns else None


def _with_machine(turns: list[Turn]) -> list[Turn]:
    """Where a “system” answers the user and nobody else does, it is the assistant."""
    roles = [turn.role for turn in turns]
    if "assistant" in roles or "other" in roles or "user" not in roles or "system" not in roles[roles.index("user") :]:
        return turns
    first = roles.index("user")
    return [replace(turn, role="assistant") if at > first and turn.role == "system" else turn for at, turn in enumerate(turns)]


def _turns(value: Any, alternate: bool, depth: int) -> list[Turn] | None:
    if isinstance(value, Mapping) and depth <= _DEEPEST:
        return _of_object({str(name): item for name, item in value.items()}, alternate, depth)
    items = [item for item in value if item is not None] if isinstance(value, list | tuple) and depth <= _DEEPEST else []
    found: list[Turn] | None = None
    if items and all(isinstance(item, Mapping) for item in items):
        each = [_of_item({str(name): part for name, part in item.items()}) for item in items]
        found = [turn for turns in each for turn in turns or ()] if all(each) else None
    elif items and all(isinstance(item, str) for item in items):
        return _of_texts(items, alternate)
    elif items and all(isinstance(item, list | tuple) for item in items):
        found = _of_pairs(items, alternate)
    return found or (_turns(items[0], alternate, depth + 1) if len(items) == 1 and not isinstance(items[0], str) else None)


def _of_object(value: dict[str, Any], alternate: bool, depth: int) -> list[Turn] | None:
    """Turns under a key of an object, side by side in lists, numbered, as a tree, or one turn alone."""
    fields = {key(name): item for name, item in value.items()}
    if isinstance(fields.get("mapping"), Mapping):
        return _branch(fields["mapping"], value.get("current_node"))
    if len(value) > 1 and all(_NUMBERED.fullmatch(name) for name in value):
        return _turns(list(value.values()), alternate, depth + 1)
    lists = {name: item for name, item in value.items() if isinstance(item, list | tuple)}
    if len(lists) >= 2 and len({len(item) for item in lists.values()}) == 1 and _first(lists, _WHO) and _first(lists, _WHAT):
        rows = [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
        return _turns(rows, alternate, depth + 1)
    nested = [name for name in value if key(name) in _NESTED and isinstance(parsed(value[name]), list | tuple | dict)]
    for name in nested:
        if found := _turns(parsed(value[name]), True, depth + 1):
            return _with_system(found, value, name)
    if len(value) == 1 and isinstance(only := parsed(next(iter(value.values()))), list | tuple | dict):
        return _turns(only, alternate, depth + 1)
    found = _of_item(value)  # an answer alone, under no speaker, is only an object that has such a field
    return found if found and any(turn.name or turn.role == "user" for turn in found) else None


def _with_system(turns: list[Turn], around: dict[str, Any], name: str) -> list[Turn]:
    """The turns after what the object around them says first; its other fields are named as unused."""
    others = {other: item for other, item in around.items() if other != name and _holds(item)}
    said = next((other for other in others if key(other) in map(key, WORDS["system"])), "")
    if said and turns[0].role != "system" and (content := said_in(others.pop(said))) is not None and content.text:
        turns = [Turn("system", content.text), *turns]
    return [replace(turns[0], unused=(*turns[0].unused, *others)), *turns[1:]]


# ---- one turn --------------------------------------------------------------------------------------------------------------


def _of_item(item: dict[str, Any]) -> list[Turn] | None:
    """The turns of one object: a speaker with what was said, or a question and its answer."""
    who, what = next(((who, what) for who, what in _USUAL if len(item) == 2 and who in item and what in item), ("", ""))
    said = item.get(what)
    if isinstance(said, str) and "<" not in said and (role := ROLE_OF.get(str(item[who]))):
        return [Turn(role, cell_text(said), str(item[who]))]  # as nearly all are
    for inner in ("data", "kwargs", "message"):  # LangChain, ChatGPT
        below = item.get(inner)
        if isinstance(below, Mapping) and _first(below, _WHAT) and (inner != "message" or _first(below, _WHO)):
            names = item.get("id")
            kind = item.get("type") if inner != "kwargs" else names[-1] if isinstance(names, list) and names else ""
            around = {"role": kind} if isinstance(kind, str) else {}
            item = {**around, **{str(name): part for name, part in below.items()}}
    flag = next((name for name in item if key(name) in _FLAGS and isinstance(item[name], bool)), "")
    if flag:
        item = {"role": _FLAGS[key(flag)][not item[flag]], **{name: part for name, part in item.items() if name != flag}}
    who = _speaker_field(item)
    held = [name for name in _in_order(item, _WHAT) if name != who]
    what = next((name for name in held if _holds(item[name])), "") or next(iter(held), "")
    if who and (what or _first(item, _CALLS)):
        turn = _one(item, who, what)
        return [turn] if turn else None
    return _pair(item)


def _speaker_field(item: Mapping[str, Any]) -> str:
    """The field that names the speaker: one that holds a known word first, then any that can be a name."""
    candidates = [name for name in _in_order(item, _WHO) if _name_of(item[name])]
    known = [name for name in candidates if _role_of(_name_of(item[name])) != "other"]
    said = any(key(name) in _WHAT for name in item)
    return next(iter(known), "") or (next((name for name in candidates if key(name) not in ("type", "name")), "") if said else "")


def _name_of(value: Any) -> str:
    """A speaker, given as a word, a number, or an object about them."""
    if isinstance(value, Mapping):
        inner = next((value[name] for name in ("role", "nickname", "name", "username", "id") if value.get(name)), "")
        return str(inner).strip()
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _role_of(name: str) -> Speaker:
    short = key(name) if len(name) <= _LONGEST_NAME else ""
    return "assistant" if short in CALLING else ROLE_OF.get(short, "other")


def _one(item: dict[str, Any], who: str, what: str) -> Turn | None:
    name = _name_of(item[who])
    role = _role_of(name)
    said = said_in(item.get(what)) if what else Said()
    if said is None and role in ("assistant", "tool", "other") and key(name) in (*CALLING, *map(key, _SAID_BY["tool"])):
        said = Said(json.dumps(item[what], ensure_ascii=False, default=str))
    if said is None:
        return None
    fields = {key(field): field for field in item if field not in (who, what)}
    calls = said.calls + tuple(call for field in _CALLS if field in fields for call in calls_of(item[fields[field]]))
    if key(name) in CALLING:
        calls, said = calls_of(said.text) or (Call(name="", arguments=said.text),), replace(said, text="")
    thoughts = next((text for field in THOUGHTS if field in fields and (text := thought_in(item[fields[field]]))), said.thoughts)
    weights = [item[fields[field]] for field in _NOT_LEARNED if field in fields]
    shown = sum(_many(item[fields[field]]) for field in PICTURES if field in fields)
    read = {*THOUGHTS, *_NOT_LEARNED, *_CALLS, *PICTURES, "toolcallid"}
    spare = tuple(field for short, field in fields.items() if short not in read and _holds(item[field]))
    return Turn(
        role="tool" if said.is_result else role,
        content=said.text,
        name=str(item["name"]) if role != "other" and isinstance(item.get("name"), str) and who != "name" else name,
        learn=not any(weight in _FALSE for weight in weights),
        thoughts=thoughts,
        pictures=said.pictures + shown,
        calls=calls,
        unused=(*said.unused, *(field for field in spare if key(field) != "name")),
    )


def _pair(item: dict[str, Any]) -> list[Turn] | None:
    """A question with its answer, or one of them, named by its speaker: {"human": ..., "assistant": ...}."""
    fields = {name: _PAIR[key(name)] for name in item if key(name) in _PAIR}
    turns: list[Turn] = []
    order: tuple[Speaker, ...] = ("system", "user", "assistant")
    for role in order:
        said = [_said_in_pair(item[name]) for name, of in fields.items() if of == role and _holds(item[name])]
        if any(one is None for one in said):
            return None
        whole = [one for one in said if one is not None]
        if whole:
            text = "\n\n".join(one.text for one in whole if one.text)
            turns.append(Turn(role, text, pictures=sum(one.pictures for one in whole)))
    if not fields:
        return None
    if not turns:  # {"human": ""}: an empty turn is a turn
        turns = [Turn(role, "") for role in order if role in fields.values()][:1]
    others = {key(name): name for name in item if name not in fields}
    thoughts = next((thought_in(item[others[short]]) for short in THOUGHTS if short in others), "")
    learn = not any(item[others[short]] in _FALSE for short in _NOT_LEARNED if short in others)
    spare = tuple(name for short, name in others.items() if short not in {*THOUGHTS, *_NOT_LEARNED} and _holds(item[name]))
    if turns[-1].role == "assistant":
        turns[-1] = replace(turns[-1], thoughts=thoughts, learn=learn)
    turns[-1] = replace(turns[-1], unused=spare)
    return turns


def _said_in_pair(value: Any) -> Said | None:
    """A list of texts is no part of a pair: which of them was said is not known."""
    return None if isinstance(value, list | tuple) and not all(isinstance(part, Mapping) for part in value) else said_in(value)


# ---- other forms -------------------------------------------------------------------------------------------------------------


def _of_texts(items: Sequence[str], alternate: bool) -> list[Turn] | None:
    """Texts that begin with who speaks, or that alternate, the person first."""
    labelled = [match for item in items if (match := _LABELLED.fullmatch(item)) and key(match[1]) in ROLE_OF]
    if len(labelled) == len(items):
        return [Turn(ROLE_OF[key(match[1])], cell_text(match[2]), match[1]) for match in labelled]
    if not alternate or len(items) < 2:
        return None
    return [Turn("assistant" if at % 2 else "user", cell_text(item)) for at, item in enumerate(items)]


def _of_pairs(items: Sequence[Sequence[Any]], alternate: bool) -> list[Turn] | None:
    """[speaker, text] where all first parts are speakers, else [question, answer] where the column says so."""
    if any(len(item) != 2 or not isinstance(item[0], str) or isinstance(item[1], list | dict) for item in items):
        return None
    if all(isinstance(item[0], str) and key(item[0]) in ROLE_OF for item in items):
        return [Turn(ROLE_OF[key(item[0])], cell_text(item[1]), item[0]) for item in items]
    if not alternate:
        return None
    both = [(cell_text(item[0]), cell_text(item[1])) for item in items]
    return [turn for asked, answered in both for turn in (Turn("user", asked), Turn("assistant", answered)) if turn.content]


def _branch(tree: Mapping[str, Any], leaf: Any) -> list[Turn] | None:
    """The way from the root of ChatGPT's tree to the answer that was shown last."""
    nodes = {str(name): node for name, node in tree.items() if isinstance(node, Mapping)}
    parents = {str(node.get("parent")) for node in nodes.values()}
    at = str(leaf) if str(leaf) in nodes else next((name for name in reversed(list(nodes)) if name not in parents), "")
    way: list[Mapping[str, Any]] = []
    while at in nodes and len(way) <= len(nodes):
        way.append(nodes[at])
        at = str(nodes[at].get("parent"))
    said = [node["message"] for node in reversed(way) if isinstance(node.get("message"), Mapping)]
    shown = [message for message in said if _is_shown(message)]
    found = [_of_item({name: message.get(name) for name in ("author", "content", "weight") if name in message}) for message in shown]
    return [turn for turns in found for turn in turns or () if turn.content or turn.calls or turn.pictures] or None


def _is_shown(message: Mapping[str, Any]) -> bool:
    """Whether people see a message of a tree: not what the program tells the model, nor what it says to its tools and they to it."""
    author, about = message.get("author"), message.get("metadata")
    hidden = isinstance(about, Mapping) and bool(about.get("is_visually_hidden_from_conversation"))
    told = message.get("recipient") in (None, "", "all")
    return told and not hidden and not (isinstance(author, Mapping) and author.get("role") == "tool")


# ---- fields ------------------------------------------------------------------------------------------------------------------


def _in_order(item: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The fields with these names, most telling first."""
    by_key = {key(str(name)): str(name) for name in reversed(list(item))}
    return [by_key[word] for word in words if word in by_key]


def _first(item: Mapping[str, Any], words: Sequence[str]) -> str:
    return next(iter(_in_order(item, words)), "")


def _holds(value: Any) -> bool:
    """Whether a field holds something."""
    return value is not None and value not in ("", [], {}, ()) and value == value  # noqa: PLR0124 - not-a-number holds nothing


def _many(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else int(_holds(value))
