"""Mirroring or turning a picture makes it one of another class.

What it looks like: classes that differ by their direction (left and right, up and down, 6 and 9, b and d) are mixed up, as if at random.

Why: while it learns, each picture is varied a little every time. A mirrored left arrow is a right arrow, and a 6 on its head is a 9: the
model is shown one thing and told that it is the other.

What to do: use variations that change no direction. “xray” never mirrors and turns by a few degrees only, whatever is in the pictures;
“none” changes nothing.
"""

import re
from collections.abc import Collection

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.words import listed

MIRRORED, TURNED = frozenset({"photo", "microscope"}), frozenset({"microscope"})  # variations that exchange left and right | up and down
_WORD = re.compile(r"[^\W\d_]+|\d+")
# Words that are each other's mirror image, left for right; in languages that people name folders in
ACROSS = (
    ("left", "right"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierda", "derecha"),
    ("sinistra", "destra"),
    ("esquerda", "direita"),
    ("east", "west"),
    ("clockwise", "counterclockwise"),
    ("clockwise", "anticlockwise"),
    ("clockwise", "counter"),
    ("clockwise", "anti"),
    ("b", "d"),
    ("p", "q"),
)
DOWN = (  # up for down, or turned by half
    ("up", "down"),
    ("top", "bottom"),
    ("upward", "downward"),
    ("north", "south"),
    ("upright", "upside"),
    ("oben", "unten"),
    ("hoch", "runter"),
    ("haut", "bas"),
    ("arriba", "abajo"),
    ("su", "giù"),
    ("6", "9"),
    ("six", "nine"),
    ("m", "w"),
    ("n", "u"),
)
DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
SEVERAL = 8  # digits or letters that are classes of their own: then the pictures show signs


def clashes(labels: Collection[str], augmentation: str) -> list[tuple[str, str]]:
    """Pairs of classes that such variations make of each other, in the classes' own names."""
    words = {label: {word.lower() for word in _WORD.findall(label)} for label in labels}
    pairs = [*(ACROSS if augmentation in MIRRORED else ()), *(DOWN if augmentation in TURNED else ())]
    if augmentation in TURNED:
        pairs += [pair for pair in ACROSS if pair not in pairs]
    found: list[tuple[str, str]] = []
    for one, other in pairs:
        for a in labels:
            for b in labels:
                same_rest = words[a] - {one} == words[b] - {other} - ({"clockwise"} if one == "clockwise" else set())
                if one in words[a] and other in words[b] and other not in words[a] and (same_rest or {a, b} == set(labels)):
                    found.append((a, b))
    return list(dict.fromkeys(found))


@rule("R206", "data", "warning", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Classes that are each other's mirror image, by their names, under variations that mirror or turn."""
    facts, augmentation = case.facts, case.pictures.augmentation
    labels = list(facts.of_class) if facts else list(case.profile.labels) if case.profile else []
    found = clashes(labels, augmentation)
    evidence = [fact("variations", augmentation)]
    fix = change("Use variations that never mirror: “xray”, whatever is in the pictures.", augmentation="xray")
    none = change("Vary nothing.", augmentation="none")
    if found:
        evidence += [fact("classes that are each other's mirror image", f"“{a}” and “{b}”") for a, b in found[:4]]
        does = "mirrors and turns" if augmentation in TURNED else "mirrors"
        words = f"“{augmentation}” {does} pictures, and that makes {listed([f'“{a}” of “{b}”' for a, b in found[:4]])}."
        return Found(0.9, words, evidence, (fix, none))
    signs = {label.lower() for label in labels}
    if augmentation in MIRRORED and max(len(signs & DIGITS), len(signs & LETTERS)) >= SEVERAL:
        evidence.append(fact("classes that are single digits or letters", max(len(signs & DIGITS), len(signs & LETTERS))))
        words = f"The classes are digits or letters, and “{augmentation}” mirrors pictures: it learns signs that nobody writes."
        return Found(0.7, words, evidence, (fix, none))
    return None
