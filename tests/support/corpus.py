"""A made-up town as documents, with facts planted in them that are known: what a builder has to find. The same seed gives the same town."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

_FIRST_TEXT = (
    "Alder Birch Cedar Dunmore Elmsworth Fenwick Garrow Hollis Ivymoor Jarrow Kelso Linden Marlow Norwood Orwell Penrose "
    "Quarry Rowan Selby Thorne Umber Verity Weston Yarrow Zeal"
)
_FIRST = _FIRST_TEXT.split()
_SECOND_TEXT = (
    "Bridge Museum Tower Library Garden Theatre Mill Station School Market Chapel Lighthouse Gallery Harbour Observatory "
    "Archive Park Hall Brewery Foundry"
)
_SECOND = _SECOND_TEXT.split()
_PEOPLE = (
    *("Ada Marsh", "Bruno Keller", "Clara Voss", "Dora Penn", "Emil Stark", "Freda Lund"),
    *("Gustav Rhee", "Hanna Ward", "Ivo Brandt", "Julia Crane", "Karl Moss", "Lena Frost"),
)
_STUFF = ["granite", "sandstone", "oak", "brick", "copper", "slate", "limestone", "steel", "marble", "larch"]
_THINGS = (
    "clinometer:instrument that measures the angle of a slope|sluice:gate that holds water back until it is needed|oriel:window that "
    "stands out from a wall|adit:tunnel that leads into a mine|weir:low dam that raises the level of a river|lychgate:roofed gate at "
    "the entrance of a churchyard|fathom:measure of depth of about two metres|garth:small yard within a cloister|leat:ditch that "
    "brings water to a mill|tithe:tenth part of a harvest that was paid as a tax|spandrel:space between an arch and the frame around "
    "it|kiln:oven in which clay or lime is burnt|toll:sum that is paid for the use of a road|quay:wall along the water at which "
    "ships are moored|vane:plate that turns to show from where the wind blows|barrow:mound of earth over an old grave|coppice:wood "
    "whose trees are cut back every few years|estuary:mouth of a river where the tide comes in|foreland:piece of land that reaches "
    "out into the sea|midden:heap of shells and bones that people left long ago"
)
_FILLER = (
    "Nobody who walks along the river in the evening forgets how quiet it is.",
    "Most people come by foot, since the lanes are narrow and parking is hard to find.",
    "In wet weather the stones are slippery, so good shoes are worth having.",
    "Much of what is told about it is older than anything that was written down.",
    "It is best seen early in the day, before the coaches arrive.",
    "The people of the town are proud of it and show it to everybody.",
)


@dataclass(frozen=True)
class Fact:
    """Something a document says: of whom, what, and in which form."""

    subject: str
    value: str
    form: str


@dataclass(frozen=True)
class Town:
    """The documents by name, and what they say."""

    files: dict[str, str]
    facts: tuple[Fact, ...]

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (folder / name).write_text(text, "utf-8")
        return folder


def town(n_facts: int = 200, seed: int = 0) -> Town:
    """About as many facts, spread over guides (running text), a web page of questions, tables, steps, lists and a glossary."""
    chance = random.Random(seed)
    places = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    chance.shuffle(places)
    facts: list[Fact] = []
    files: dict[str, str] = {}
    at = 0
    while sum(fact.form not in ("table", "question", "glossary", "list", "steps") for fact in facts) < n_facts * 0.7:
        number = len(files) + 1
        chosen = places[at : at + 5]
        at += 5
        parts = [f"# Walk {number}\n"]
        for place in chosen:
            said = _said(place, chance)
            facts += [fact for fact, _ in said]
            sentences = [sentence for _, sentence in said]
            sentences.insert(chance.randrange(1, len(sentences) + 1), chance.choice(_FILLER))
            parts.append(f"## {place}\n\n{' '.join(sentences)}\n")
        files[f"walk{number:02}.md"] = "\n".join(parts)
    _others(files, facts, places[at:], chance)
    return Town(files, tuple(facts))


def _said(place: str, chance: random.Random) -> list[tuple[Fact, str]]:
    """Some things about a place, in the ways in which guides say them; some are hard on purpose."""
    year, number, price = chance.randrange(1650, 1990), chance.randrange(12, 480), chance.randrange(2, 60)
    who, stuff, other = chance.choice(_PEOPLE), chance.choice(_STUFF), chance.choice(_PEOPLE)
    forms = {
        "year": (str(year), f"The {place} was built in {year}."),
        "who": (who, f"{who} designed the {place}."),
        "by": (other, f"The {place} was restored by {other}."),
        "how many": (str(number), f"The {place} has {number} windows."),
        "attribute": (f"{number} metres", f"The height of the {place} is {number} metres."),
        "price": (f"{price} crowns", f"The {place} costs {price} crowns to visit."),
        "made of": (stuff, f"What strikes a visitor first about the {place} is that all of it is made of {stuff}."),
        "loose": (str(year), f"It took the masons until {year} to finish the roof of the {place}, after two fires."),
    }
    chosen = chance.sample(sorted(forms), 3)
    return [(Fact(place, forms[form][0], form), forms[form][1]) for form in chosen]


def _a(words: str) -> str:
    return f"{'An' if words[0] in 'aeiou' else 'A'} {words}"


def _others(files: dict[str, str], facts: list[Fact], places: list[str], chance: random.Random) -> None:
    rows, asked = ["name,opened,keeper,steps"], list[str]()
    for place in places[:8]:
        year, who, steps = str(chance.randrange(1800, 1999)), chance.choice(_PEOPLE), str(chance.randrange(20, 400))
        rows.append(f"{place},{year},{who},{steps}")
        facts += [Fact(place, value, "table") for value in (year, who, steps)]
    files["places.csv"] = "\n".join(rows) + "\n"
    for place in places[8:20]:
        hour = f"{chance.randrange(7, 12)}:{chance.choice(('00', '15', '30'))}"
        asked.append(f"<h3>When does the {place} open?</h3><p>Its doors open at {hour}, every day but Monday.</p>")
        facts.append(Fact(place, hour, "question"))
    files["questions.html"] = f"<html><title>Questions of visitors</title><body><h1>Questions</h1>{''.join(asked)}</body></html>"
    terms = [one.split(":") for one in _THINGS.split("|")]
    files["glossary.txt"] = "Words of the town\n\n" + "\n\n".join(f"{_a(term)} is {_a(meaning).lower()}." for term, meaning in terms) + "\n"
    facts += [Fact(term, meaning, "glossary") for term, meaning in terms]
    gates = places[20:24]
    files["town.md"] = (
        "# The town\n\n## Gates\n\nThe four gates of the town are:\n\n" + "\n".join(f"- {gate}" for gate in gates)
        + "\n\n## How to cross the river\n\nFollow these steps:\n\n1. Ring the bell at the landing.\n2. Wait until the ferry has moored.\n"
        "3. Pay two crowns to the ferryman.\n4. Sit down before he casts off.\n"
    )  # fmt: skip
    facts += [Fact("gates", gate, "list") for gate in gates]
    facts += [
        Fact("cross the river", words, "steps") for words in ("Ring the bell", "Wait until the ferry", "Pay two crowns", "Sit down before")
    ]
