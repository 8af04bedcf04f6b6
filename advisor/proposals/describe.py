"""Owns the way from a wish to a plan before there is any data: a complete plan for examples as they should be, and what those are.

Invariants: the plan is one the planner itself proposes, for a profile like that of examples of this kind; it fits this computer, or says
that nothing does; what is said about data is a matter of the task, never a promise about a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from advisor.proposals.wishes import Chosen, Task, Wish, understand
from loralab.core.records import DatasetProfile, Proposal, Record
from loralab.core.words import size
from loralab.lab import Lab
from loralab.models.model_check import ModelCheck
from loralab.planning import estimate

SPEAKS_MANY = ("qwen", "gemma", "llama-3.2", "mistral")  # beginnings of names of catalogue models that write other languages than English
LARGEST_QUICK = 200e6  # weights of a model for somebody in a hurry
PATIENCE = {"quick": 900.0, "": 3600.0, "best": 8 * 3600.0}  # seconds that training may take
WORD = 1.4  # tokens, about
GIVES: dict[Task, str] = {
    "answer": "answers",
    "sort": "names of classes",
    "extract": "results",
    "summarise": "summaries",
    "translate": "translations",
    "code": "answers",
    "write": "texts",
}
MEANS: dict[Task, str] = {  # what a person chooses from where a wish can be read in several ways
    "answer": "Answer questions, or chat",
    "sort": "Sort texts into classes, or say yes or no",
    "extract": "Find names, dates, amounts in texts",
    "summarise": "Make texts shorter",
    "translate": "Put texts into another language or other words",
    "code": "Write or explain code and formulas",
    "write": "Write new texts",
}
CONTINUES: tuple[Task, ...] = ("write",)  # what a model does that never saw a conversation
READS: tuple[Task, ...] = ("sort", "extract")  # kinds where a language is that of the texts it gets


@dataclass(frozen=True)
class Kind:
    """What examples of a task look like: their shape, how many it takes, and how long question and answer are in words."""

    shape: str
    rows: int
    question: int
    answer: int
    columns: tuple[str, ...]
    sentence: str  # what one example is
    sample: dict[str, str]
    tips: tuple[str, ...]


KINDS: dict[Task, Kind] = {
    "answer": Kind(
        "prompt_completion",
        300,
        25,
        60,
        ("question", "answer"),
        "a question as people ask it, and the answer as you want it",
        {"question": "My parcel is late. What can I do?", "answer": "I am sorry. Please send me the order number, and I will look."},
        (
            "Take real questions, also clumsy ones.",
            "Let all answers have the tone you want: it is learned first.",
            "Facts that change belong into the question, not into the training.",
        ),
    ),
    "sort": Kind(
        "label",
        500,
        30,
        3,
        ("text", "label"),
        "a text and the name of its class",
        {"text": "I was charged twice.", "label": "billing"},
        (
            "At least 50 texts for each class, and about as many of each.",
            "Add a class for what fits nowhere, with examples.",
            "Two people should agree on the class of a text; where they do not, the model cannot either.",
        ),
    ),
    "extract": Kind(
        "prompt_completion",
        300,
        120,
        50,
        ("text", "result"),
        "a text and what is to be found in it, always in one form, such as JSON",
        {"text": "Invoice 118 of 3 May, 240 EUR, Miller Ltd.", "result": '{"number": "118", "amount": 240, "name": "Miller Ltd."}'},
        ("Always the same fields in the same order.", "Include texts where a field is missing, and say so in the same way each time."),
    ),
    "summarise": Kind(
        "prompt_completion",
        300,
        400,
        60,
        ("text", "summary"),
        "a whole text and the summary you would have written",
        {"text": "(a report of one page)", "summary": "(its three most important sentences)"},
        ("Let all summaries be about as long.", "Nothing may stand in a summary that is not in its text, or it learns to invent."),
    ),
    "translate": Kind(
        "prompt_completion",
        1000,
        30,
        30,
        ("source", "translation"),
        "a sentence and its translation",
        {"source": "Where is the station?", "translation": "Wo ist der Bahnhof?"},
        ("A small model learns your words and your tone, not a language it never saw.", "Short, whole sentences teach most."),
    ),
    "code": Kind(
        "prompt_completion",
        500,
        80,
        60,
        ("task", "code"),
        "what is to be done and the code that does it, or code and the words for it",
        {"task": "Count the rows of the table orders.", "code": "SELECT COUNT(*) FROM orders;"},
        ("Only code that was run and works.", "One style throughout."),
    ),
    "write": Kind(
        "text",
        200,
        0,
        300,
        ("text",),
        "a whole text in the style you want",
        {"text": "(a poem, a letter, a page)"},
        ("Fifty pages teach a tone, some hundred a style.", "Take out what is not the style: headers, page numbers, quotations of others."),
    ),
}


class Described(Record):
    """A plan for a wish, and the examples it takes."""

    wish: Wish
    proposal: Proposal
    rows: int  # examples to collect
    columns: tuple[str, ...]
    sample: dict[str, str]
    needs: tuple[str, ...]  # sentences
    words: str


def describe(lab: Lab, text: str, model: str = "", kind: Chosen = "") -> Described:
    """A complete plan for a sentence such as “answer like our support team, in German”. `model`, `kind`: where the person chose one."""
    wish = understand(text, kind)
    usual = KINDS[wish.task]
    profile = _imagined(wish, usual)
    name = model or _model(lab, wish, profile)
    fixed: dict[str, Any] = {"learn_from": "everything"} if usual.shape == "text" else {}
    proposal = lab.propose(profile, name, **fixed, title=_title(wish))
    return Described(
        wish=wish,
        proposal=proposal,
        rows=usual.rows,
        columns=usual.columns,
        sample=_sample(wish, usual),
        needs=_needs(wish, usual),
        words=_words(wish, lab.check_model(name)),
    )


def _imagined(wish: Wish, kind: Kind) -> DatasetProfile:
    """The profile of examples as they should be: nothing is measured yet, and the plan says so by having no file."""
    longer = {"short": 0.5, "": 1.0, "long": 3.0}[wish.length]
    answer = kind.answer if wish.task == "sort" else round(kind.answer * longer)
    typical = round(WORD * (kind.question + answer)) + 12  # and what a template puts around them
    tokens = {"p50": typical, "p90": 2 * typical, "p95": round(2.5 * typical), "p99": 3 * typical, "max": 4 * typical}
    heldout = max(8, kind.rows // 10)
    total = kind.rows * typical
    return DatasetProfile(
        id="",
        name="",
        path="",
        shape=kind.shape,
        n_read=kind.rows,
        n_kept=kind.rows,
        n_train=kind.rows - heldout,
        n_heldout=heldout,
        tokens=tokens | {"total": total, "learned": round(total * answer / (kind.question + answer))},
    )


def _model(lab: Lab, wish: Wish, profile: DatasetProfile) -> str:
    """The largest model of the catalogue that speaks the language, needs nobody's permission, fits here and is done in time.

    Where none but the starter is done in time, the smallest that fits: the starter knows no language but English, and little of that.
    """
    machine, chosen, slow = lab.machine(), "starter", ""
    foreign = (wish.language or wish.written) not in ("", "English")  # who asks in German and names no language gets German texts
    for entry in lab.models():
        check = lab.check_model(entry.name)
        if (check.present and not check.ok) or (foreign and not entry.name.startswith(SPEAKS_MANY)):
            continue
        if entry.template == "none" and wish.task not in CONTINUES:
            continue
        if entry.gated or (wish.pace == "quick" and entry.parameters > LARGEST_QUICK and not foreign):
            continue
        needs = lab.propose(profile, entry.name).footprint
        if estimate.fits(needs, machine):
            in_time = (needs.seconds or 0.0) <= PATIENCE[wish.pace]
            chosen, slow = (entry.name, slow) if in_time else (chosen, slow or entry.name)
    return slow if chosen == "starter" and foreign and wish.pace != "quick" and slow else chosen


def _title(wish: Wish) -> str:
    return wish.text[:77] + ("..." if len(wish.text) > 77 else "")


def _sample(wish: Wish, kind: Kind) -> dict[str, str]:
    """One row as an example; a translation into a language that is not the sample's says only what stands there."""
    if wish.task == "translate" and wish.language == "English":
        return {"source": kind.sample["translation"], "translation": kind.sample["source"]}
    if wish.task == "translate" and wish.language not in ("", "German"):
        return kind.sample | {"translation": f"(the same sentence in {wish.language})"}
    return kind.sample


def _needs(wish: Wish, kind: Kind) -> tuple[str, ...]:
    found = [f"About {kind.rows:,} examples, each {kind.sentence}."]
    columns = " and ".join(f"“{column}”" for column in kind.columns)
    if kind.shape == "text":
        found.append(f"Plain text files as they are will do, or a table (CSV, Excel) with the column {columns}.")
    else:
        found.append(f"A table (CSV, Excel) with the columns {columns} is enough.")
    if wish.language and wish.task in READS:
        found.append(f"Texts in {wish.language}, as it will get them later.")
    elif wish.language:
        found.append(f"All {GIVES[wish.task]} in {wish.language}: it writes in the language of the examples.")
    if wish.length and wish.task != "sort":
        found.append(f"{wish.length.capitalize()} {GIVES[wish.task]} throughout: it writes as long as the examples do.")
    return (*found, *kind.tips)


def _words(wish: Wish, model: ModelCheck) -> str:
    doing = {
        "answer": "answer",
        "sort": "sort texts into classes",
        "extract": "find things in texts",
        "summarise": "summarise",
        "translate": f"translate into {wish.language}" if wish.language else "put texts into another language or other words",
        "code": "work with code",
        "write": "write in a style",
    }[wish.task]
    manner = [f"in {wish.language}"] if wish.language and wish.task != "translate" else []
    manner += ["in few words"] if wish.length == "short" else ["at length"] if wish.length == "long" else []
    others = " or ".join(f"“{MEANS[task]}”" for task in wish.likely[1:])
    doubt = f" That is a guess: is it rather {others}? Choose it, or say what it gets and what it shall give back." if others else ""
    how = f", {' and '.join(manner)}" if manner else ""
    fetch = "" if model.present else f" It is not on this computer yet: {size(model.download_bytes)} to download, after you said yes."
    language = wish.language or wish.written
    deaf = language not in ("", "English") and not model.name.startswith(SPEAKS_MANY)
    limit = f" This model knows hardly any {language}: choose a larger one where you can." if deaf else ""
    begun = "It shall" if wish.sure else "Perhaps it shall"
    return f"{begun} {doing}{how}, with the model {model.name}.{fetch}{limit}{doubt}"
