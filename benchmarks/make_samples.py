"""Owns how the bundled data sets in `data/samples/` are made from their sources, so that every row's origin can be traced and made again.

    python -m benchmarks.make_samples SOURCES [data/samples]

SOURCES holds banking77_train.csv, banking77_test.csv, medquad.jsonl.xz and splunk_detections.jsonl as published by their authors,
noto_emoji_64.zip with the pictures of Noto Emoji (64 pixels) and their categories in metadata.csv, and simple_english.jsonl.xz, what the
starter model was made from; the bookings are made up here; plain_words.csv was written by hand and has no maker.

Invariant: same sources, same files.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from PIL import Image, ImageFilter, ImageOps

from benchmarks.labfail.make.texts import as_csv, sentences
from loralab.datasets.near_duplicates import near_pairs

Row = dict[str, Any]

CLASSES = (
    *("card_arrival", "change_pin", "lost_or_stolen_card", "exchange_rate", "age_limit", "terminate_account"),
    *("request_refund", "apple_pay_or_google_pay", "passcode_forgotten", "transfer_timing"),
)
PER_CLASS, ALIKE = 60, 0.55  # messages; share of words that two may have in common
# kinds of questions MedQuAD's answers were written to, and what a reader would call what they tell
HEALTH = {
    "symptoms": "symptoms",
    "treatment": "treatment",
    "exams and tests": "tests",
    "genetic changes": "genes",
    "outlook": "outlook",
    "frequency": "how common",
}
PER_KIND = 80
# techniques of MITRE ATT&CK, of which each serves one aim alone
AIMS = {
    "stealing passwords": "T1003 T1110 T1187 T1212 T1552 T1555 T1556 T1558 T1621",
    "looking around": "T1007 T1012 T1016 T1018 T1033 T1046 T1049 T1057 T1069 T1082 T1083 T1087 T1135 T1201 T1482 T1518 T1526 T1580 T1615",
    "breaking in": "T1133 T1189 T1190 T1195 T1199 T1200 T1566",
    "covering tracks": "T1027 T1036 T1070 T1112 T1127 T1140 T1218 T1222 T1497 T1562 T1564 T1620",
}
PER_AIM = 110
# categories of Unicode's emoji, and what a child would call them
LITTLE = {"Animals & Nature": "animals", "Food & Drink": "food", "Smileys & Emotion": "faces", "Flags": "flags"}
PER_LITTLE, DRAWN = 100, 60
EARLIEST = (1980, 1, 1, 0, 0, 0)  # date of every picture in the zip, so that the same pictures are the same file
LONGEST = 230  # characters of a text to be sorted
BOOKINGS = 600
TYPED = 300
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\d{3}[-.) ]+\d{3}[-. ]\d{4}|https?:|©")
_DETECTS = re.compile(
    r"^(the following|this) (analytic|detection|search|hunting query|query)( is designed to| will)?"
    r"( \w+ly)? (detect|identif|look|flag|monitor|is)\w*( instances of| for| the| when| if| an?\b)*\s*",
    re.IGNORECASE,
)


def main() -> None:
    """Write every data set that is made."""
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parent.parent / "data" / "samples"
    makers: dict[str, Callable[[Path], Iterable[Row]]] = {
        "customer_messages.csv": customer_messages,
        "health_texts.csv": health_texts,
        "security_alerts.csv": security_alerts,
        "table_bookings.csv": lambda _: table_bookings(),
        "typing_mistakes.csv": typing_mistakes,
    }
    for name, make in makers.items():
        rows = list(make(source))
        content = as_csv(rows)
        (target / name).write_text(content, encoding="utf-8", newline="\n")
        sys.stderr.write(f"{name}: {len(rows)} rows, {len(content.encode()) // 1024} kB\n")
    little_pictures(source, target / "little_pictures.zip")
    ink_and_candy(source, target / "ink_and_candy.zip")


def customer_messages(source: Path) -> Iterator[Row]:
    """Messages of ten well-separated classes of BANKING77 with readable names, taken in turn so that no class stands alone.

    Those with most words in common with one before them are left out: kept aside, they would prove nothing.
    """
    found: dict[str, dict[str, Counter[str]]] = {name: {} for name in CLASSES}
    for name in ("banking77_train.csv", "banking77_test.csv"):
        with (source / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text, kept = " ".join(row["text"].split()), found.get(row["category"], {})
                words = Counter(re.findall(r"\w+", text.casefold()))
                alike = any((words & other).total() > ALIKE * (words | other).total() for other in kept.values())
                if row["category"] in found and 12 <= len(text) <= 160 and len(kept) < PER_CLASS and not alike:
                    kept[text] = words
    for place in range(PER_CLASS):
        for name, kept in found.items():
            yield {"text": list(kept)[place], "category": name.replace("_", " ")}


def health_texts(source: Path) -> list[Row]:
    """The first sentences of MedQuAD's answers with the kind of question they answer; lists of links and of signs by table left out."""
    rows: list[Row] = []
    with lzma.open(source / "medquad.jsonl.xz", "rt", encoding="utf-8") as file:
        for line in file:
            given = json.loads(line)
            answer = re.sub(r"^[^.?]{5,120}\?\s+", "", given["answer"]).replace("Key Points", "").lstrip(" -\n")
            text = sentences(answer, LONGEST)
            hollow = answer.startswith(("These resources", "Frequently")) or "Human Phenotype" in answer or "?" in text or " - " in text
            if given["qtype"] in HEALTH and len(text) >= 50 and not hollow and not _PERSONAL.search(text):
                rows.append({"text": text, "label": HEALTH[given["qtype"]]})
    return _even(rows, PER_KIND)


def security_alerts(source: Path) -> list[Row]:
    """What Splunk's detections look for, with the aim of whoever sets them off; those that serve several aims left out."""
    aim_of = {technique: aim for aim, techniques in AIMS.items() for technique in techniques.split()}
    rows: list[Row] = []
    for line in (source / "splunk_detections.jsonl").read_text("utf-8").splitlines():
        rule = json.loads(line)
        aims = {aim_of.get(technique.split(".")[0]) for technique in rule["mitre"] or ()}
        text = f"{rule['name'].strip()}: {sentences(_DETECTS.sub('', rule['description']), LONGEST)}"
        if len(aims) == 1 and None not in aims and len(text) <= LONGEST and not text.endswith(": "):
            rows.append({"text": text, "label": aims.pop()})
    return _even(rows, PER_AIM)


def _even(rows: list[Row], most: int) -> list[Row]:
    """As many of each label, in a seeded order, without near copies."""
    random.Random(1).shuffle(rows)
    copies = {later for _, later in near_pairs([row["text"] for row in rows])}
    kept: list[Row] = []
    taken: Counter[str] = Counter()
    seen: set[str] = set()
    for place, row in enumerate(rows):
        if place not in copies and row["text"] not in seen and taken[row["label"]] < most:
            taken[row["label"]] += 1
            seen.add(row["text"])
            kept.append(row)
    return kept


# ---- bookings: what people write to a restaurant, and the line for its book (guests, day, time) ------------------------------------

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORDS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_HOURS = (12, 13, 18, 19, 20, 21)
_WHO = (
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "my sister and her kids",
    "some friends from work",
    "the football team",
    "my parents",
    "our book club",
    "the neighbours",
    "an old friend",
)
_HELLO = ("Hi,", "Hello!", "Good morning,", "Hi there,", "Hello,", "Good evening,", "Dear all,", "Hey,", "", "", "")
_ASK = (
    *("could we have a table for {people} {when}?", "I would like to book for {people} {when}.", "do you have room for {people} {when}?"),
    *("we are {people} and would love to come {when}.", "please keep a table for {people} {when}.", "can you fit in {people} {when}?"),
    *(
        "is there anything free {when} for {people}?",
        "a table for {people} {when}, would that work?",
        "we'd like to eat with you {when}, {people} of us.",
    ),
    *(
        "table for {people} {when} please.",
        "{people} people {when}, is that possible?",
        "I need a table {when}. There will be {people} of us.",
    ),
    *("my mother turns sixty and we want to celebrate {when} with {people} people.", "put us down {when}, {people} guests."),
)
_MORE = (
    "By the window if you can.|One of us eats no meat.|We bring a small dog.|Please call if that is too late.|"
    "A high chair would help.|Somewhere quiet would be lovely.|We loved the soup last time.|It is our first visit.|"
    "Outside, if the weather holds.|Is parking easy?|We may be a little late.|No nuts please, there is an allergy.|"
    "Do you still have the fish pie?|Could you put up a few flowers?|Thank you!|Many thanks.|Best wishes, Anna|Thanks, Tom Becker|"
    "Yours, Mrs Okafor|See you then!|Let me know.|Thanks a lot, Priya|||||"
)


def table_bookings() -> list[Row]:
    """Messages to a restaurant and their line for the book: guests, day, time; made up from parts, no two of one pattern alike."""
    draw = random.Random(7)
    found: dict[str, str] = {}
    while len(found) < BOOKINGS:
        people, day, hour, half = draw.randint(2, 12), draw.choice(_DAYS), draw.choice(_HOURS), draw.random() < 0.5
        day_said = draw.choice((f"on {day}", f"this {day}", f"next {day}", f"on {day} {'evening' if hour > 14 else ''}".strip(), day))
        when = draw.choice((f"{day_said} at {{}}", f"at {{}} {day_said}", f"{day_said} around {{}}", f"{day_said}, {{}}")).format(
            _clock(draw, hour, half)
        )
        asked = draw.choice(_ASK).format(people=draw.choice((str(people), _WORDS[people])), when=when)
        who = draw.choice(_WHO)
        parts = (draw.choice(_HELLO), asked, f"It is with {who}." if who else "", draw.choice(_MORE.split("|")))
        message = " ".join(part for part in parts if part)
        message = message[0].upper() + message[1:]
        found[message] = f"{people}, {day}, {hour}:{'30' if half else '00'}"
    return [{"question": message, "answer": line} for message, line in found.items()]


def _clock(draw: random.Random, hour: int, half: bool) -> str:
    """A time of day as people say it."""
    twelve = hour - 12 if hour > 12 else hour
    part = "pm" if hour >= 12 else "am"
    if half:
        ways = (f"half past {_WORDS[twelve]}", f"{twelve}:30", f"{twelve}.30 {part}", f"{hour}:30", f"{_WORDS[twelve]} thirty")
    else:
        ways = (f"{_WORDS[twelve]}", f"{twelve} {part}", f"{twelve} o'clock", f"{hour}:00", f"{_WORDS[twelve]} o'clock")
    return draw.choice(ways)


# ---- typing mistakes: a sentence as it was typed in a hurry, and as it should be ------------------------------------------------------

_MISSPELT = dict(
    re.findall(
        r"(\w+)=(\w+)",
        "because=becuase friend=freind their=thier beautiful=beautifull really=realy until=untill received=recieved believe=beleive "
        "which=wich again=agian tomorrow=tommorow across=accross people=poeple always=allways different=diffrent every=evry little=litle "
        "the=teh and=adn said=siad from=form with=whit where=were would=woud there=thier through=trough",
    )
)
_SENTENCE = re.compile(r"(?<=[.!?] )[A-Z][a-z,' ]{30,75}\.(?= |$)")


def typing_mistakes(source: Path) -> Iterator[Row]:
    """Sentences of children's books in the public domain, two words of each spoilt the way fingers and memory do it."""
    dice = random.Random(3)
    taken: set[str] = set()
    with lzma.open(source / "simple_english.jsonl.xz", "rt", encoding="utf-8") as file:
        for line in file:
            document = json.loads(line)
            found = [s for s in _SENTENCE.findall(" ".join(document["text"].split())) if 7 <= len(s.split()) <= 13]
            if "public domain" not in document["license"].casefold() or not found:
                continue
            right = dice.choice(found)
            if right not in taken and len(taken) < TYPED:
                taken.add(right)
                yield {"question": _mistyped(right, dice), "answer": right}


def _mistyped(sentence: str, dice: random.Random) -> str:
    """The sentence without its capital and its stop, two of its words spoilt."""
    words = (sentence[0].lower() + sentence[1:]).rstrip(".").split()
    known = [place for place, word in enumerate(words) if word in _MISSPELT and (len(word) > 3 or dice.random() < 0.2)]
    other = [place for place, word in enumerate(words) if len(word) >= 5 and word.isalpha() and place not in known]
    for place in [*dice.sample(known, min(1, len(known))), *dice.sample(other, min(2, len(other)))][:2]:
        words[place] = _MISSPELT.get(words[place]) or _slipped(words[place], dice)
    return " ".join(words)


def _slipped(word: str, dice: random.Random) -> str:
    """Two letters in the wrong order, one left out, or one twice; never the first."""
    at = dice.randrange(1, len(word) - 1)
    return dice.choice((word[:at] + word[at + 1] + word[at] + word[at + 2 :], word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))


def little_pictures(source: Path, target: Path) -> None:
    """A zip with a folder for each of four kinds of emoji. Of the faces those of people alone."""
    dice = random.Random(0)
    with ZipFile(source / "noto_emoji_64.zip") as packed, ZipFile(target, "w") as made:
        rows = list(csv.DictReader(io.StringIO(packed.read("metadata.csv").decode("utf-8"))))
        for category, kind in LITTLE.items():
            own = [row for row in rows if row["category"] == category and (kind != "faces" or _is_persons(row["text"]))]
            for row in sorted(dice.sample(own, min(PER_LITTLE, len(own))), key=lambda row: row["file"]):
                name = "-".join(re.findall("[a-z0-9]+", row["text"].lower()))
                made.writestr(ZipInfo(f"{kind}/{name}.png", EARLIEST), packed.read(row["file"]))


def ink_and_candy(source: Path, target: Path) -> None:
    """A zip of emoji of animals and food, drawn anew in a style of its own, each with its name in a text file.

    A thick outline of dark ink, four shades from violet over pink to yellow, on cream paper.
    """
    with ZipFile(source / "noto_emoji_64.zip") as packed, ZipFile(target, "w") as made:
        rows = list(csv.DictReader(io.StringIO(packed.read("metadata.csv").decode("utf-8"))))
        own = [row for row in rows if row["category"] in ("Animals & Nature", "Food & Drink")]
        for at, row in enumerate(random.Random(3).sample(own, DRAWN)):
            written = io.BytesIO()
            _inked(Image.open(io.BytesIO(packed.read(row["file"])))).quantize(32).save(written, "PNG", optimize=True)
            made.writestr(ZipInfo(f"{at:02}.png", EARLIEST), written.getvalue())
            made.writestr(ZipInfo(f"{at:02}.txt", EARLIEST), f"{row['text']}\n")


def _inked(emoji: Image.Image) -> Image.Image:
    small = emoji.convert("RGBA").resize((48, 48), Image.Resampling.LANCZOS)
    shape = small.getchannel("A").point([255 if value > 96 else 0 for value in range(256)])
    page, edge = Image.new("RGB", (64, 64), "#f4ead2"), Image.new("L", (64, 64))
    edge.paste(shape, (8, 8))
    white = Image.new("RGBA", small.size, "white")
    grey = ImageOps.posterize(ImageOps.autocontrast(ImageOps.grayscale(Image.alpha_composite(white, small).convert("RGB"))), 2)
    page.paste("#1d2a5b", (0, 0), edge.filter(ImageFilter.MaxFilter(7)))
    page.paste(ImageOps.colorize(grey, "#3b1d6e", "#f7e36b", mid="#e0559a"), (8, 8), shape)
    return page


def _is_persons(text: str) -> bool:
    return "face" in text and not {"cat", "monkey"} & set(text.split())


if __name__ == "__main__":
    main()
