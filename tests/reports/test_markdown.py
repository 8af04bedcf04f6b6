"""Text of people, files and models stays text: in the card, in the report as Markdown and as a page."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from loralab.core.events import Evaluated, Measured, RunView
from loralab.core.records import Sample, Score
from loralab.reports import licences
from loralab.reports.card import Origin, model_card, origin_of
from loralab.reports.markdown import quoted, shielded, word
from loralab.reports.report_page import report_html, report_markdown
from loralab.tasks import parse_plan
from tests.support.machines import laptop

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "# head\n## more\n\n---\n***\n===\n",
    "[a link](https://evil.example) ![pic](http://evil.example/x.png) https://evil.example www.evil.example <https://evil.example>",
    "*bold* **bold** __bold__ _it_ ~~gone~~ `code` $x$ &amp; &#x41; \\* @someone",
    "```sh\nrm -rf ~\n```\n~~~\nmore\n~~~",
    "- item\n+ item\n* item\n1. one\n2) two\n> quote\n    code\n\tcode",
    "| a | b |\n|---|---|\n| 1 | 2 |\n[ref]: https://evil.example\n<!-- hidden -->\n<details>",
    "\u202eright to left\u2066 \x1b[31mred\x00",
)
ALL = "\n".join(HOSTILE)
KNOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
OURS = {"p", "br", "blockquote"}


def tags(page: str) -> set[str]:
    return {found.lower() for found in re.findall(r"</?([a-zA-Z!][\w-]*)", page)}


def letters(text: str) -> str:
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split()).replace("\xa0", "")


@pytest.mark.parametrize("text", [*HOSTILE, ALL, "Customer_messages 2", "1. My notes (50 %)"])
def test_markdown_shows_the_letters_and_nothing_else(text: str) -> None:
    wanted = "".join(SEEN.sub("", text).split())
    line = KNOWN.render(shielded(text))
    assert tags(line) <= {"p"}
    assert letters(line) == wanted
    several = KNOWN.render(quoted(text, 5000))
    assert tags(several) <= OURS
    assert letters(several) == wanted
    cell = KNOWN.render(f"| a | b |\n|---|---|\n| {shielded(text)} | x |\n")
    assert cell.count("<td>") == 2
    heading = KNOWN.render(f"# {shielded(text)}\n")
    assert tags(heading) <= {"h1"}


def test_plain_text_reads_plainly_before_it_is_rendered() -> None:
    assert shielded("customer_messages.csv, 5.2 % (about 3): it's fine!") == "customer_messages.csv, 5.2 % (about 3): it's fine!"
    assert quoted("Hi.\n\nBye.", 90) == "> Hi.\n> \n> Bye."
    assert quoted("abcdef", 3) == "> abc …"
    assert word("x; rm -rf ~ `y`\n") == "x-rm--rf-y"


def view_of(text: str) -> RunView:
    score = Score(name="loss", before=3, after=2, n=9, difference=-1, low=-2, high=-0.5, verdict="better", words=text, label=text)
    return RunView(
        run="r",
        samples=(Sample(prompt=text, before=text, after=text, reference=text, after_active=("default",)),),
        evaluations=(Evaluated(split="final", loss=2, n=9, scores=(score,), words=text),),
        measured=Measured(n_train=20, n_heldout=9),
    )


def test_a_hostile_title_prompt_answer_and_name_are_text_everywhere(tmp_path: Path) -> None:
    plan = parse_plan({"title": "<b>T</b> | x", "dataset": f"/tmp/{ALL.splitlines()[0].replace('/', '')}.csv", "targets": "q_proj"})
    settings, base = plan.model_dump() | {"title": ALL}, Origin(name=ALL, licence=ALL)
    plain = model_card("r", settings | {"title": "t", "dataset": "d"}, Origin(name="n", licence="l"), view_of("w"))
    told = {
        "card": (model_card("r", settings, base, view_of(ALL)), plain),
        "report": (report_markdown(view_of(ALL), settings, laptop(), ALL), report_markdown(view_of("w"), {}, laptop(), "t")),
    }
    for name, (text, usual) in told.items():
        made = KNOWN.render(text.partition("\n---\n")[2] if name == "card" else text)
        harmless = KNOWN.render(usual.partition("\n---\n")[2] if name == "card" else usual)
        assert tags(made) <= tags(harmless), name
        assert "evil.example" in made, name
        assert not re.search(r"<[^>]*(href|src)=", made), name
        assert re.findall(r"<h\d", made) == re.findall(r"<h\d", harmless), name
    page = report_html(view_of(ALL), settings, laptop(), ALL)
    assert tags(page) == tags(report_html(view_of("w"), settings, laptop(), "t"))


# ---- licences --------------------------------------------------------------------------------------------------------------


def test_the_card_says_both_licences_or_to_ask(tmp_path: Path) -> None:
    from loralab.datasets.samples import samples

    unknown = model_card("r", parse_plan({"dataset": str(tmp_path / "mine.csv")}).model_dump(), Origin(name="x"), RunView(run="r"))
    assert unknown.count(licences.UNKNOWN) == 2
    bundled = model_card("r", parse_plan({"dataset": samples()[0].path}).model_dump(), Origin(name="x", licence="MIT"), RunView(run="r"))
    assert licences.UNKNOWN not in bundled
    assert "licence: MIT." in bundled
    assert shielded(samples()[0].credit) in bundled


def test_a_licence_is_read_from_the_papers_that_lie_with_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    assert origin_of(str(folder), folder).licence == ""
    (folder / "LICENSE").write_text("Our own terms: ask us.")
    assert origin_of(str(folder), folder).licence == "see its file LICENSE"
    (folder / "LICENSE").write_text("    Apache   License\n  Version 2.0")
    assert origin_of(str(folder), folder).licence == "Apache-2.0"
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-4.0\n---\n# Hi\nlicense: other\n")
    assert origin_of(str(folder), folder).licence == "cc-by-4.0"
    assert licences.of_data(str(folder)) == "cc-by-4.0"
