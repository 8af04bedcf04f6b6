"""The seven kinds of thing a model can be taught with examples: the one vocabulary of the page, the command line and the planner.

Invariants: a kind is named by what a person wants done; a new kind is one entry in KINDS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

KindName = Literal["answer", "sort", "extract", "summarise", "translate", "code", "write"]
Length = Literal["", "short", "long"]
LENGTHS: tuple[Length, ...] = get_args(Length)
# Offered to choose from; any other can be typed.
LANGUAGES = [
    "English",
    "Arabic",
    "Bengali",
    "Chinese",
    "Czech",
    "Danish",
    "Dutch",
    "Finnish",
    "French",
    "German",
    "Greek",
    "Hebrew",
    "Hindi",
    "Hungarian",
    "Indonesian",
    "Italian",
    "Japanese",
    "Korean",
    "Norwegian",
    "Persian",
    "Polish",
    "Portuguese",
    "Romanian",
    "Russian",
    "Spanish",
    "Swedish",
    "Tamil",
    "Thai",
    "Turkish",
    "Ukrainian",
    "Urdu",
    "Vietnamese",
]


@dataclass(frozen=True)
class Kind:
    """What is taught, and what examples of it look like: their shape, how many it takes, how long question and answer are in words."""

    means: str  # what a person chooses
    does: str  # after “It will”
    gives: str  # what it writes
    shape: str
    rows: int
    question: int
    answer: int
    columns: tuple[str, ...]
    sentence: str  # what one example is
    sample: dict[str, str]
    tips: tuple[str, ...]

    @property
    def learn_from(self) -> Literal["replies", "everything"]:
        """Which part of an example is learned."""
        return "everything" if self.shape == "text" else "replies"


KINDS: dict[KindName, Kind] = {
    "answer": Kind(
        means="Answer questions, or chat",
        does="answer",
        gives="answers",
        shape="prompt_completion",
        rows=300,
        question=25,
        answer=60,
        columns=("question", "answer"),
        sentence="a question as people ask it, and the answer as you want it",
        sample={
            "question": "My parcel is late. What can I do?",
            "answer": "I am sorry. Please send the order number, and I will look into it.",
        },
        tips=(
            "Use real questions, clumsy ones too.",
            "Give every answer the tone you want: tone is learned first.",
            "Put facts that change into the question, not into the training.",
        ),
    ),
    "sort": Kind(
        means="Sort texts into classes, or say yes or no",
        does="sort texts into classes",
        gives="names of classes",
        shape="label",
        rows=500,
        question=30,
        answer=3,
        columns=("text", "label"),
        sentence="a text and the name of its class",
        sample={"text": "I was charged twice.", "label": "billing"},
        tips=(
            "At least 50 texts for each class, and about the same number of each.",
            "Add a class for what fits nowhere else, with examples.",
            "If two people would not agree on the class of a text, the model cannot know it either.",
        ),
    ),
    "extract": Kind(
        means="Find names, dates, amounts in texts",
        does="find things in texts",
        gives="results",
        shape="prompt_completion",
        rows=300,
        question=120,
        answer=50,
        columns=("text", "result"),
        sentence="a text and what to find in it, always in the same form, such as JSON",
        sample={"text": "Invoice 118 of 3 May, 240 EUR, Miller Ltd.", "result": '{"number": "118", "amount": 240, "name": "Miller Ltd."}'},
        tips=("Use the same fields in the same order throughout.", "Include texts where a field is missing, always marked the same way."),
    ),
    "summarise": Kind(
        means="Make texts shorter",
        does="summarise",
        gives="summaries",
        shape="prompt_completion",
        rows=300,
        question=400,
        answer=60,
        columns=("text", "summary"),
        sentence="a whole text and the summary you would have written",
        sample={"text": "(a report of one page)", "summary": "(its three most important sentences)"},
        tips=("Keep all summaries about the same length.", "Keep to what is in the text, or it learns to make things up."),
    ),
    "translate": Kind(
        means="Put texts into another language or other words",
        does="put texts into another language or other words",
        gives="translations",
        shape="prompt_completion",
        rows=1000,
        question=30,
        answer=30,
        columns=("source", "translation"),
        sentence="a sentence and its translation",
        sample={"source": "Where is the station?", "translation": "Wo ist der Bahnhof?"},
        tips=("A small model learns your words and tone, not a language it has never seen.", "Short, complete sentences teach the most."),
    ),
    "code": Kind(
        means="Write or explain code and formulas",
        does="work with code",
        gives="answers",
        shape="prompt_completion",
        rows=500,
        question=80,
        answer=60,
        columns=("task", "code"),
        sentence="a task and the code that does it, or code and its explanation",
        sample={"task": "Count the rows of the table orders.", "code": "SELECT COUNT(*) FROM orders;"},
        tips=("Use only code that has been run and works.", "Keep to one style."),
    ),
    "write": Kind(
        means="Write new texts",
        does="write in a style",
        gives="texts",
        shape="text",
        rows=200,
        question=0,
        answer=300,
        columns=("text",),
        sentence="a whole text in the style you want",
        sample={"text": "(a poem, a letter, a page)"},
        tips=(
            "Fifty pages teach a tone, a few hundred teach a style.",
            "Remove what is not the style: headers, page numbers, quotations from others.",
        ),
    ),
}
