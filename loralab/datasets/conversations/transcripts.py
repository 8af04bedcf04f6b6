"""Owns telling a conversation that was written down as text from any other text, and taking it apart into turns.

Known are the marks of chat templates and of instruction data sets, and lines that begin with who speaks (“User:”, “A:”). Invariants: a text
is taken apart wholly or not at all, nothing of what was said is lost; a play or an interview, whose speakers are people, stays a text.
"""

from __future__ import annotations

import re

from loralab.core.records import Message, Role

_ROLES: dict[Role, str] = {
    "user": r"user|human|question|q|customer|prompt|input|instruction|student|patient|frage|nutzer|kunde|benutzer|pregunta|usuario",
    "assistant": r"assistant|ai|bot|chatbot|answer|a|agent|response|output|model|gpt|tutor|antwort|assistent|réponse|respuesta|asistente",
    "system": r"system",
}
_WHO = "|".join(f"(?P<{role}>{words})" for role, words in _ROLES.items())
_FORMS = tuple(
    re.compile(pattern, re.MULTILINE | re.IGNORECASE)
    for pattern in (
        rf"<\|im_start\|>[ \t]*(?:{_WHO})\b[ \t]*\n?",
        rf"<\|start_header_id\|>[ \t]*(?:{_WHO})[ \t]*<\|end_header_id\|>\s*",
        rf"<start_of_turn>[ \t]*(?:{_WHO})\b[ \t]*\n?",
        rf"^###[ \t]*(?:{_WHO})[ \t]*:[ \t]*\n?",
        rf"^(?:{_WHO})[ \t]*:[ \t]*",
    )
)
_TURNS: tuple[Role, Role] = ("user", "assistant")
_INST = re.compile(r"\[(/?)INST\]")
_BLANK = re.compile(r"\n[ \t]*\n\s*")
_IS_QUESTION = re.compile(r"\b(?:question|q|frage|pregunta)\b", re.IGNORECASE)
FEWEST, MOST_WHOLE = 3, 0.9  # conversations in one text; of its pieces so many are whole
_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "<|begin_of_text|>", "<s>", "</s>")


def turns(text: str) -> tuple[Message, ...]:
    """What was said by whom, ending with an answer; empty where the text is no such conversation."""
    if "[INST]" in text:
        return _instructed(text)
    for form in _FORMS:
        marks = list(form.finditer(text))
        if len(marks) > 1:
            return _between(text, marks)
    return ()


def several(text: str) -> tuple[list[tuple[int, str]], bool]:
    """Conversations that stand one below the other, each with the line it begins in; and whether where they part is sure.

    They part at blank lines where what is between is a whole conversation each time; else before each question, which is sure only where
    the marks say question and answer. Empty where fewer than `FEWEST` are found, or more than a few pieces are none.
    """
    form = next((form for form in _FORMS if len(list(form.finditer(text))) >= 2 * FEWEST), None)
    if form is None:
        return [], True
    begun = [0, *(found.end() for found in _BLANK.finditer(text))]
    blocks = _pieces(text, begun)
    if len(blocks) >= FEWEST and sum(bool(turns(block)) for _, block in blocks) >= MOST_WHOLE * len(blocks):
        return blocks, True
    asked = [mark for mark in form.finditer(text) if mark.groupdict().get("user")]
    pairs = _pieces(text, [mark.start() for mark in asked])
    before = text[: asked[0].start()].strip() if asked else text
    if before or len(pairs) < FEWEST or sum(bool(turns(pair)) for _, pair in pairs) < MOST_WHOLE * len(pairs):
        return [], True
    return pairs, all(_IS_QUESTION.search(mark[0]) for mark in asked)


def _pieces(text: str, starts: list[int]) -> list[tuple[int, str]]:
    """The text from each start to the next, with its line; blank ones left out."""
    ends = [*starts[1:], len(text)] if starts else []
    found = ((text.count("\n", 0, start) + 1, text[start:end].strip()) for start, end in zip(starts, ends, strict=True))
    return [(line, piece) for line, piece in found if piece]


def _instructed(text: str) -> tuple[Message, ...]:
    """Questions between [INST] and [/INST], each followed by its answer."""
    before, *parts = _INST.split(text)  # then a mark's slash or none, and the words after it, by turns
    if _clean(before) or any(slash != ("", "/")[at % 2] for at, slash in enumerate(parts[::2])):
        return ()
    return _sound([Message(role=_TURNS[at % 2], content=_clean(said)) for at, said in enumerate(parts[1::2])])


def _between(text: str, marks: list[re.Match[str]]) -> tuple[Message, ...]:
    """The words after each mark, as far as the next; words before the first are what the conversation begins with."""
    before = _clean(text[: marks[0].start()])
    said: list[Message] = [Message(role="system", content=before)] if before else []
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)], strict=True):
        role: Role = next(role for role in _ROLES if mark.groupdict().get(role))
        content = _clean(text[mark.end() : end])
        if said and said[-1].role == role == "user":  # an instruction and its input
            said[-1] = Message(role=role, content=f"{said[-1].content}\n\n{content}".strip())
        else:
            said.append(Message(role=role, content=content))
    return _sound(said)


def _sound(said: list[Message]) -> tuple[Message, ...]:
    """Questions and answers in turn, all with words; else nothing."""
    roles = [message.role for message in said if message.role != "system"]
    alternate = all(role == _TURNS[at % 2] for at, role in enumerate(roles))
    whole = len(roles) >= 2 and len(roles) % 2 == 0 and all(message.content for message in said)
    first = all(message.role != "system" for message in said[1:])
    return tuple(said) if alternate and whole and first else ()


def _clean(text: str) -> str:
    """Without the marks that templates put around a turn; what stands within it was said."""
    begin, end = 0, len(text)
    while begin < end and (found := _ending(text, begin, end)):
        end -= found
    while begin < end and (found := _beginning(text, begin, end)):
        begin += found
    return text[begin:end]


def _ending(text: str, begin: int, end: int) -> int:
    return 1 if text[end - 1].isspace() else next((len(mark) for mark in _ENDS if text.endswith(mark, begin, end)), 0)


def _beginning(text: str, begin: int, end: int) -> int:
    return 1 if text[begin].isspace() else next((len(mark) for mark in _ENDS if text.startswith(mark, begin, end)), 0)
