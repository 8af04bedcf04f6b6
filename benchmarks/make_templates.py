"""Owns how the data in `data/templates/zoo/` is made, so that every row's origin can be traced and made again.

    python -m benchmarks.make_templates [poems.jsonl] [data/templates/zoo]

Code, questions with thoughts, and the pictures are made up here. The verses are cut from poems in the public domain, a row each with title,
author and poem; without that file they are left as they are. icd10.csv was written by hand and has no maker.

Invariant: same sources, same files. A drawn picture is told to be one wherever it is named.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.labfail.make.texts import as_csv
from loralab.core.paths import DATA
from loralab.datasets.near_duplicates import near_pairs

Row = dict[str, Any]
EARLIEST = (1980, 1, 1, 0, 0, 0)  # date of every picture in a zip, so that the same pictures are the same file
POETS = ("Robert Louis Stevenson", "E. Nesbit", "Lewis Carroll", "Edgar Allan Poe", "Thomas Hardy")
VERSES, PER_POEM, CODES, THOUGHTS = 300, 3, 400, 500


def main() -> None:
    """Write everything that is made."""
    given = [Path(place) for place in sys.argv[1:]]
    target = next((place for place in given if place.is_dir()), DATA / "templates" / "zoo")
    made: dict[str, list[Row]] = {"code_comments.csv": code_comments(), "thoughts.csv": thoughts()}
    for place in (place for place in given if place.is_file()):
        made["verses.csv"] = list(verses(place))
    for name, rows in made.items():
        (target / name).write_text(as_csv(rows), encoding="utf-8", newline="\n")
        sys.stderr.write(f"{name}: {len(rows)} rows, {len(near_pairs([' '.join(row.values()) for row in rows]))} near copies\n")
    drawn_chests(target / "drawn_chests.zip")
    drawn_cells(target / "drawn_cells.zip")


def verses(source: Path) -> Iterator[Row]:
    """Short verses with the title of their poem, a few of each; what is no verse (notes, numbers, stage directions) left out."""
    poems = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    random.Random(4).shuffle(poems)
    found: list[Row] = []
    for poem in sorted((poem for poem in poems if poem["author"] in POETS), key=lambda poem: POETS.index(poem["author"])):
        title = re.sub(r"^[IVXLivxl0-9]+\.?\s+", "", poem["title"]).strip().title()
        stanzas = ["\n".join(" ".join(line.split()) for line in part.splitlines()) for part in poem["poem"].split("\n\n")]
        kept = [stanza.strip() for stanza in stanzas if _is_verse(stanza)]
        if re.fullmatch(r"[A-Za-z' ]{4,30}", title):
            found += [{"request": f"Write a verse: {title}", "verse": stanza} for stanza in kept[:PER_POEM]]
    copies = {later for _, later in near_pairs([row["verse"] for row in found])}
    yield from [row for place, row in enumerate(found) if place not in copies][:VERSES]


def _is_verse(text: str) -> bool:
    lines = text.strip().splitlines()
    plain = not re.search(r"[\[\]_*0-9{}|@]|--\"|[A-Z]{4}", text)
    return plain and 4 <= len(lines) <= 8 and all(8 <= len(line) <= 48 for line in lines) and 80 <= len(text) <= 260


# ---- code: a few lines, and the comment above them ----------------------------------------------------------------------------------

_THINGS = (
    *(
        [
            "orders price",
            "books page",
            "players score",
            "parcels weight",
            "tickets fee",
            "rooms size",
            "songs length",
            "recipes time",
            "trees height",
            "boats speed",
        ]
    ),
    *(
        [
            "invoices total",
            "pupils age",
            "trains delay",
            "bottles volume",
            "houses rent",
            "photos width",
            "letters date",
            "teams rank",
            "cities area",
            "tools cost",
        ]
    ),
)
_CODE = (
    ("total = sum({one}.{what} for {one} in {all})", "Adds up the {what} of all {all}."),
    ("best = max({all}, key=lambda {one}: {one}.{what})", "Finds the {one} with the largest {what}."),
    ("least = min({all}, key=lambda {one}: {one}.{what})", "Finds the {one} with the smallest {what}."),
    ("mean = sum({one}.{what} for {one} in {all}) / len({all})", "Works out the average {what} of the {all}."),
    ("kept = [{one} for {one} in {all} if {one}.{what} > {n}]", "Keeps the {all} whose {what} is above {n}."),
    ("kept = [{one} for {one} in {all} if {one}.{what} < {n}]", "Keeps the {all} whose {what} is below {n}."),
    ("count = len([{one} for {one} in {all} if {one}.{what} == {n}])", "Counts the {all} whose {what} is {n}."),
    ("{all}.sort(key=lambda {one}: {one}.{what})", "Sorts the {all} by {what}, smallest first."),
    ("{all}.sort(key=lambda {one}: {one}.{what}, reverse=True)", "Sorts the {all} by {what}, largest first."),
    ("first = {all}[:{n}]", "Takes the first {n} {all}."),
    ("last = {all}[-{n}:]", "Takes the last {n} {all}."),
    ("if not {all}:\n    return None", "Gives nothing back where there are no {all}."),
    ("for {one} in {all}:\n    {one}.{what} += {n}", "Raises the {what} of every {one} by {n}."),
    ("for {one} in {all}:\n    {one}.{what} *= {n}", "Multiplies the {what} of every {one} by {n}."),
    ("for {one} in {all}:\n    print({one}.{what})", "Prints the {what} of every {one}."),
    ("names = [{one}.name for {one} in {all}]", "Collects the names of the {all}."),
    ("by_{what} = {{{one}.{what}: {one} for {one} in {all}}}", "Makes it possible to look up a {one} by its {what}."),
    ("found = any({one}.{what} > {n} for {one} in {all})", "Tells whether any {one} has a {what} above {n}."),
    ("fine = all({one}.{what} > {n} for {one} in {all})", "Tells whether every {one} has a {what} above {n}."),
    ("{all} = list(set({all}))", "Removes {all} that are there twice."),
    ("{all}.append({one})", "Adds a {one} to the {all}."),
    ("{all}.remove({one})", "Takes the {one} out of the {all}."),
    ("with open('{all}.txt') as file:\n    {all} = file.readlines()", "Reads the {all} from a file, a line each."),
    ("with open('{all}.txt', 'w') as file:\n    file.write(text)", "Writes the text into the file of the {all}."),
    ("if {one}.{what} is None:\n    {one}.{what} = {n}", "Sets the {what} of the {one} to {n} where it is missing."),
    ("if {one}.{what} < 0:\n    raise ValueError('{what}')", "Refuses a {one} whose {what} is below zero."),
    ("random.shuffle({all})", "Puts the {all} into a random order."),
    ("{all} = {all}[::-1]", "Turns the order of the {all} around."),
)


def code_comments() -> list[Row]:
    """Lines of Python with a sentence that says what they do; each way of saying it with many things."""
    dice, found = random.Random(11), {}
    while len(found) < CODES:
        things, what = dice.choice(_THINGS).split()
        code, words = dice.choice(_CODE)
        filled = {"all": things, "one": things.removesuffix("ies") + "y" if things.endswith("ies") else _single(things), "what": what}
        filled["n"] = str(dice.choice((2, 3, 5, 8, 10, 12, 20, 50, 100)))
        found[code.format(**filled)] = re.sub(r"\ba (?=[aeiou])", "an ", words.format(**filled))
    return [{"code": code, "comment": comment} for code, comment in found.items()]


def _single(things: str) -> str:
    return things.removesuffix("es") if things.endswith("xes") else things.removesuffix("s")


# ---- questions that want a thought first ----------------------------------------------------------------------------------------------

_NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Finn",
    "Greta",
    "Hugo",
    "Ida",
    "Jonas",
    "Klara",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tina",
    "Victor",
]
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EVENTS = [
    "the party",
    "the test",
    "the match",
    "the trip",
    "the concert",
    "her birthday",
    "the market",
    "the picnic",
    "the visit",
    "the show",
]
_GOODS = ("apples", "books", "nuts", "coins", "shells", "cards", "stamps", "pencils", "eggs", "balls")


def thoughts() -> list[Row]:
    """Questions whose answer follows in small steps: how many are left, and which day it is then."""
    dice, found = random.Random(5), {}
    makers: tuple[Callable[[random.Random], tuple[str, str, str]], ...] = (_stock, _day_then)
    while len(found) < THOUGHTS:
        asked, thought, answer = dice.choice(makers)(dice)
        found[asked] = (thought, answer)
    return [{"question": asked, "thoughts": thought, "answer": answer} for asked, (thought, answer) in found.items()]


def _stock(dice: random.Random) -> tuple[str, str, str]:
    who, thing, first, more = dice.choice(_NAMES), dice.choice(_GOODS), dice.randint(2, 9), dice.randint(1, 5)
    middle = first + more
    less = dice.randint(1, min(5, middle - 1))
    asked = dice.choice((
        f"{who} has {first} {thing}, gets {more} more and gives {less} away. How many are left?",
        f"There are {first} {thing} in the box. {who} puts {more} in and takes {less} out. How many are in it now?",
        f"{who} finds {first} {thing}, then {more} more. {less} are lost on the way. How many {thing} are there at home?",
    ))  # fmt: skip
    return asked, f"{first} and {more} are {middle}. {middle} less {less} is {middle - less}.", str(middle - less)


def _day_then(dice: random.Random) -> tuple[str, str, str]:
    at, days, event, who = dice.randrange(7), dice.randint(2, 4), dice.choice(_EVENTS), dice.choice(_NAMES)
    passed = [_DAYS[(at + step) % 7] for step in range(1, days + 1)]
    asked = dice.choice((
        f"Today is {_DAYS[at]}. In {days} days {who} goes to {event}. Which day is that?",
        f"It is {_DAYS[at]}, and {event} is in {days} days, says {who}. On which day?",
        f"{who} waits {days} days for {event}. Now it is {_DAYS[at]}. Which day will it be?",
    )).replace("to her birthday", "to her aunt")  # fmt: skip
    return asked, f"{', '.join(passed)}.", passed[-1]


# ---- drawn pictures, in the place of those of patients -----------------------------------------------------------------------------------


def drawn_chests(target: Path, each: int = 80, side: int = 96) -> None:
    """A zip with two folders of drawings that are laid out as a picture of a chest is: `clear`, and `shadow` with pale patches."""
    dice = np.random.default_rng(3)
    with ZipFile(target, "w") as packed:
        for kind in ("clear", "shadow"):
            for number in range(each):
                _add(packed, f"{kind}/{kind}-{number:03}.jpg", _chest(dice, side, shadows=int(kind == "shadow") * int(dice.integers(1, 4))))


def _chest(dice: np.random.Generator, side: int, *, shadows: int) -> Image.Image:
    far, middle = side * 4, side * 2
    made = Image.new("L", (far, far), int(dice.integers(15, 45)))
    pen, tilt = ImageDraw.Draw(made), int(dice.integers(-16, 17))
    body = int(dice.integers(150, 185))
    pen.ellipse((20 + tilt, 10, far - 20 + tilt, far + 120), fill=body)
    wide, high = int(dice.integers(58, 76)), int(dice.integers(118, 148))
    centres = [(middle - 84 + tilt, middle - 6), (middle + 84 + tilt, middle + int(dice.integers(-10, 14)))]
    for x, y in centres:
        pen.ellipse((x - wide, y - high, x + wide, y + high), fill=int(dice.integers(55, 85)))
    pen.ellipse((middle - 30 + tilt, middle, middle + 88 + tilt, middle + 120), fill=body + 15)
    for rib in range(6):
        y = 90 + rib * 44 + int(dice.integers(-6, 7))
        for x, turn in ((middle - 96 + tilt, 200), (middle + 96 + tilt, 250)):
            pen.arc((x - 90, y, x + 90, y + 90), turn, turn + 90, fill=int(dice.integers(105, 125)), width=7)
    made = made.filter(ImageFilter.GaussianBlur(5))
    for _ in range(shadows):
        patch = Image.new("L", made.size)
        x, y = centres[int(dice.integers(2))]
        x, y, wide = x + int(dice.integers(-30, 31)), y + int(dice.integers(-80, 81)), int(dice.integers(22, 46))
        ImageDraw.Draw(patch).ellipse((x - wide, y - wide, x + wide, y + wide), fill=int(dice.integers(120, 200)))
        made.paste(205, (0, 0), patch.filter(ImageFilter.GaussianBlur(12)))
    # Nobody stands alike twice: without this all clear ones would be near copies of one another.
    across, down = (int(v) for v in dice.integers(-44, 45, 2))
    made = made.rotate(float(dice.uniform(-14, 14)), Image.Resampling.BILINEAR, translate=(across, down), fillcolor=far // 16)
    room = int(dice.integers(0, 60))
    made = made.crop((room, room, far - room, far - room))
    return _grained(made.resize((side, side), Image.Resampling.LANCZOS), dice, 5)


CELL = "<object><name>cell</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
FIELD = "<annotation><filename>{}</filename><size><width>{}</width><height>{}</height><depth>3</depth></size>{}</annotation>"


def drawn_cells(target: Path, pictures: int = 120, side: int = 128) -> None:
    """A zip of drawings laid out as a field under a microscope, with a box around each cell as Pascal VOC writes it."""
    dice = np.random.default_rng(6)
    with ZipFile(target, "w") as packed:
        for number in range(pictures):
            name, places = f"field-{number:03}.jpg", _apart(dice, int(dice.integers(2, 9)), side)
            _add(packed, f"pictures/{name}", _field(dice, places, side))
            boxes = "".join(CELL.format(*(round(v) for v in (x - r, y - r, x + r, y + r))) for x, y, r in places)
            packed.writestr(ZipInfo(f"boxes/{name.replace('.jpg', '.xml')}", EARLIEST), FIELD.format(name, side, side, boxes))


def _apart(dice: np.random.Generator, wanted: int, side: int) -> list[tuple[float, float, float]]:
    """Circles (x, y, radius) that hardly touch."""
    found: list[tuple[float, float, float]] = []
    for _ in range(400):
        r = float(dice.uniform(9, 15))
        x, y = dice.uniform(r + 1, side - r - 1, 2)
        if len(found) < wanted and all((x - a) ** 2 + (y - b) ** 2 > (0.95 * (r + c)) ** 2 for a, b, c in found):
            found.append((float(x), float(y), r))
    return found


def _field(dice: np.random.Generator, places: list[tuple[float, float, float]], side: int) -> Image.Image:
    ground = tuple(int(v) for v in dice.integers((232, 214, 206), (246, 230, 224)))
    made = Image.new("RGB", (side * 3, side * 3), ground)
    pen = ImageDraw.Draw(made)
    for x, y, r in places:
        ink = tuple(int(v) for v in dice.integers((186, 96, 100), (214, 130, 134)))
        pen.ellipse([3 * v for v in (x - r, y - r, x + r, y + r)], fill=ink, outline=tuple(v - 26 for v in ink), width=3)
        pen.ellipse([3 * v for v in (x - r / 2.4, y - r / 2.4, x + r / 2.4, y + r / 2.4)], fill=tuple(min(255, v + 38) for v in ink))
    for _ in range(int(dice.integers(0, 7))):  # specks, which are no cells
        x, y = dice.uniform(6, 3 * side - 6, 2)
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(120, 90, 150))
    return _grained(made.filter(ImageFilter.GaussianBlur(1.6)).resize((side, side), Image.Resampling.LANCZOS), dice, 3)


def _grained(picture: Image.Image, dice: np.random.Generator, strength: float) -> Image.Image:
    values = np.asarray(picture, dtype=np.float32)
    return Image.fromarray(np.clip(values + dice.normal(0, strength, values.shape), 0, 255).astype(np.uint8))


def _add(packed: ZipFile, name: str, picture: Image.Image) -> None:
    with packed.open(ZipInfo(name, EARLIEST), "w") as file:
        picture.save(file, "JPEG", quality=78)


if __name__ == "__main__":
    main()
