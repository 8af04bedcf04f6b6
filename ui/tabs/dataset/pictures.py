"""Owns how a data set of pictures is shown: what it is in words, a sheet of pictures with what is marked, and what the model sees of them.

Invariant: what is drawn comes from the lab's gallery; a picture that cannot be opened any more leaves its words.
"""

from __future__ import annotations

from typing import Any

from loralab.core.records import Choice, DatasetProfile
from loralab.core.words import listed, plural
from loralab.lab import NOT_MEDICAL, Gallery, uri
from ui.charts import label_bar
from ui.goals import SEEING
from ui.markup import draw, esc
from ui.tabs.dataset.sheet import left_out, reasons
from ui.words import count, fact, facts, heading, notice, term

SHOWN = 12  # pictures in the sheet
SEEN, WAYS = 4, 3  # pictures drawn as the model sees them, each in so many variations
BAR_TITLES = {"classify": "Pictures of each kind", "segment": "Pictures in which it is marked", "detect": "Boxes of each kind"}
PRESETS = {
    "photo": "mirrored, a little larger or smaller, and in slightly other light",
    "microscope": "turned and mirrored, in slightly other light and stain",
    "xray": "turned a very little, in slightly other light, and never mirrored",
    "none": "not varied at all",
}


def kind_words(profile: DatasetProfile) -> str:
    """What came in, in a few words: “Pictures in 2 classes”."""
    kinds = len(profile.labels)
    match profile.task:
        case "classify":
            return f"Pictures in {count(kinds, 'class', 'classes')}"
        case "segment":
            return "Pictures with marked areas" if kinds < 2 else f"Pictures with marked areas of {kinds} kinds"
        case "draw":
            return "Pictures to learn to draw from"
        case _:
            return f"Pictures with boxes around {count(kinds, 'kind')} of things"


def summary_html(profile: DatasetProfile, gallery: Gallery) -> str:
    """What came in, in words and numbers that add up."""
    aside = f"{profile.n_heldout:,} {term('held-out', 'kept aside')} to test on" if profile.n_heldout else ""
    lines = reasons(profile)
    why = lines[0].partition(" × ")[2] if len(lines) == 1 else f"{len(lines)} reasons, see below" if lines else "every picture can be used"
    usual, largest = (f"{width} × {height}" for width, height in gallery.sizes)
    tiles = facts(
        fact("Pictures", f"{profile.n_kept:,}", f"of {profile.n_read:,} found"),
        fact("To learn from", f"{profile.n_train:,}", aside),
        fact("Left out", f"{left_out(profile):,}", esc(why)),
        fact("Usual size", esc(usual), esc("pixels, all alike" if usual == largest else f"pixels; the largest {largest}")),
    )
    title = heading(profile.name, esc(f"{kind_words(profile)}."), step="1")
    bars = label_bar(profile.labels, title=BAR_TITLES[profile.task]) if len(profile.labels) > 1 else ""
    came = [("File", [profile.name]), ("Pictures found", [f"{profile.n_read:,}"]), ("Kept", _kept(profile)), ("Left out", lines)]
    came.append(("Labels", [f"read from {profile.shape}"]))
    sheet = draw("dataset", "sheet", [(what, said) for what, said in came if said], bool(lines))
    return medical_html(profile.medical) + draw("dataset", "summary", title, tiles, bars, sheet)


def medical_html(medical: bool) -> str:
    """What is said wherever pictures of patients are shown or used."""
    return notice(NOT_MEDICAL, "", "warning") if medical else ""


def _kept(profile: DatasetProfile) -> list[str]:
    said = f"{profile.n_kept:,}: {profile.n_train:,} to learn from, {profile.n_heldout:,} kept aside to test on"
    between = profile.n_kept - profile.n_train - profile.n_heldout
    also = f", {between:,} {plural(between, 'copy', 'copies')} of those kept aside" if between > 0 else ""
    return [line for line in (f"{said}{also}", profile.aside) if line]


def grid_html(profile: DatasetProfile, gallery: Gallery) -> str:
    """A sheet of pictures with what is marked in them; where it is a guess, with the question."""
    names = [preview.media[0] for preview in profile.previews[:SHOWN] if preview.media]
    cells = [(uri(gallery.drawn(name)), gallery.label(name) or gallery.caption(name), name) for name in names]
    unsure = not profile.certain
    lead = "It could be meant in more than one way. This is the guess; your answer is kept." if unsure else ""
    title = heading("Is this right?" if unsure else "The pictures, with what they teach", lead)
    return draw("pictures", "sheet", title, gallery.key, cells)


def others_html(profile: DatasetProfile) -> str:
    """What else a guess could be, each with a button to take it."""
    others = list(enumerate(profile.choices))[1:]
    return draw("pictures", "others", [(place, _meant(choice, profile)) for place, choice in others]) if others else ""


def _meant(choice: Choice, profile: DatasetProfile) -> str:
    task = choice.roles.get("task", profile.task)
    if one := choice.roles.get("one"):
        return f"Tell whether a picture has “{one}” or not"
    rest = [value for role, value in choice.roles.items() if role != "task" and value]
    return SEEING.get(task, task) + (f" (from {listed(rest)})" if rest else "")


def seen_html(profile: DatasetProfile, gallery: Gallery, plan: dict[str, Any]) -> str:
    """A few pictures as the model sees them: fitted into the size it reads, then in some of the ways in which they are varied."""
    if profile.task == "draw":
        return ""
    side, preset = int(plan.get("image_size") or 0), str(plan.get("augmentation") or "none")
    if not side:
        return ""
    names = [preview.media[0] for preview in profile.previews[:: max(1, len(profile.previews) // SEEN)] if preview.media][:SEEN]
    rows = [(gallery.label(name), gallery.as_seen(name, side, preset, WAYS if preset != "none" else 0)) for name in names]
    lead = (
        f"Each picture is fitted into {side} pixels. While it learns, it is {PRESETS.get(preset, preset)}: a little different every time."
    )
    return draw("pictures", "seen", lead, gallery.key, [row for row in rows if row[1]])
