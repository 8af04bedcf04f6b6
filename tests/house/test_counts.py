"""Every sentence that carries a count, rendered with 0, 1 and 2: none says “1 rounds”.

The sentences are taken from the code itself: each f-string with its numbers replaced, and what `count`, `plural` and `times` make of them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT
from loralab.core.words import count, plural, times

NOUNS = re.findall(
    r"\w+",
    "example row update round token minute second hour file column answer question label line run test look correction cell page message "
    "adapter weight card command copy note part sentence group layer warning error pair task try",
)
PLURALS = "|".join(f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s" for noun in NOUNS)
BETWEEN = r"(?:more |other |held-out |everyday |different |usable |short )?"
WRONG = re.compile(rf"(?<![\d.,/:-])\b1 {BETWEEN}(?:{PLURALS})\b(?!’|'|/)|\b1 {BETWEEN}(?:{'|'.join(NOUNS)}) (?:are|have|were|do)\b")
WRONG_MANY = re.compile(rf"(?<![\d.,/:-])\b[02] {BETWEEN}(?:{PLURALS}) (?:is|has|was|does)\b")
PLACES = ("loralab", "advisor", "ui", "launch.py")
# Sentences whose number is never 1, and why
NEVER_ONE = {
    "advisor/rules/data/answers_mixed_up.py": "ties are 25 at least",
    "advisor/rules/data/answers_slipped.py": "ties are 15 at least",
    "advisor/rules/data/contradicting_answers.py": "two at least",
    "advisor/rules/data/conversations_as_text.py": "two at least",
    "advisor/rules/data/mixed_scripts.py": "two at least",
    "advisor/rules/data/one_answer.py": "ten examples at least",
    "advisor/rules/data/long_examples_dominate.py": "fifty examples at least",
    "advisor/rules/overfitting/few_examples_many_rounds.py": "one example has a sentence of its own; thirty times at least",
    "advisor/words/story.py": "one update has a sentence of its own",
    "loralab/reports/report_page.py": "a speed",
    "loralab/core/words.py": "the helpers themselves",
    "loralab/planning/planner.py": "nine examples at least, or the plan cannot start; lengths are 16 tokens at least",
    "loralab/setup/adding.py": "a constant of minutes",
    "loralab/datasets/readers/pdf.py": "more pages than can be read",
    "advisor/rules/learning/undertrained.py": "four looks, so four updates, at least",
}


def sentences() -> Iterator[tuple[str, int, ast.JoinedStr]]:
    for place in PLACES:
        top = CHECKOUT / place
        for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
            name = str(path.relative_to(CHECKOUT))
            if name in NEVER_ONE:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield name, node.lineno, node


def rendered(node: ast.JoinedStr, n: int) -> str:
    """The sentence with `n` for every number in it."""
    said = [_value(part.value, n) if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", "")) for part in node.values]
    return "".join(said)


def _value(value: ast.expr, n: int) -> str:
    """What stands in the place of a number: what a helper makes of it, “many” for a constant, a bare number otherwise."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        words = [arg.value if isinstance(arg, ast.Constant) and isinstance(arg.value, str) else None for arg in value.args]
        match value.func.id, words:
            case "count", [_, str(one), *more]:
                return count(n, one, str(more[0]) if more and more[0] else "")
            case "plural", [_, str(one), *more]:
                return plural(n, one, str(more[0]) if more and more[0] else "")
            case "times", _:
                return times(n)
            case _:
                return "…"
    if isinstance(value, ast.Name | ast.Attribute):
        name = value.id if isinstance(value, ast.Name) else value.attr
        return "64" if name.isupper() else str(n)
    return str(n) if isinstance(value, ast.Call | ast.BinOp | ast.Subscript) else "…"


def test_no_sentence_says_1_rounds_or_2_round():
    found: list[str] = []
    for name, line, node in sentences():
        found += [f"{name}:{line}: {text}" for text in [rendered(node, 1)] if WRONG.search(text)]
        found += [f"{name}:{line}: {text}" for n in (0, 2) for text in [rendered(node, n)] if WRONG_MANY.search(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("f'{n} rounds'", True),
        ("f'There are {n:,} examples'", True),
        ("f'{count(n, \"round\")}'", False),
        ('f\'{count(n, "example")} {plural(n, "is", "are")} left\'', False),
        ("f'at least {MOST} rows'", False),
    ],
)
def test_the_check_sees_a_wrong_sentence_and_passes_a_right_one(code: str, wrong: bool):
    node = next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.JoinedStr))
    assert bool(WRONG.search(rendered(node, 1))) is wrong


def test_no_template_counts_by_itself():
    """In the templates a number with its noun comes from `count`, which they are given."""
    found: list[str] = []
    for path in sorted((CHECKOUT / "ui" / "templates").glob("*.jinja")):
        found += [f"{path.name}: {hit[0]}" for hit in re.finditer(rf"\}}\}} (?:more )?(?:{PLURALS})\b", path.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_exempt_files_are_there():
    assert [name for name in NEVER_ONE if not Path(CHECKOUT, name).is_file()] == []
