"""Owns what stands beside the text of a document: parts of a book that only lead through it, and what pages put around their words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"^(?:(?:\d{1,2}\.)*\d{1,2}\.?|[IVXLC]{1,6}\.)\s+")
_LEADS = re.compile(
    r"(?:table of )?contents|index|references?|bibliography|works cited|further reading|suggested reading|sources"
    r"|acknowledge?ments?|about the authors?"
    r"|learning (?:objectives|goals|outcomes)|objectives|related (?:articles|pages|posts|links|topics)|see also|external links"
    r"|notes|footnotes|endnotes"
    r"|list of (?:figures|tables|illustrations)|copyright|imprint|share(?: this)?|was this (?:page|article) helpful\??|did this"
    r" answer your question\??"
    r"|(?:do you )?still have questions\??|navigation|comments|credits|dedication|image credits"
    r"|inhalt(?:sverzeichnis)?|literatur(?:verzeichnis)?|quellen|weiterführende literatur|lernziele|einzelnachweise|anmerkungen"
    r"|siehe auch|weblinks|danksagung"
    r"|impressum|register|stichwortverzeichnis|abbildungsverzeichnis|(?:haben sie )?noch fragen\??|war diese seite hilfreich\??"
    r"|sommaire|table des matières|bibliographie|índice|bibliografía",
    re.IGNORECASE,
)
_GOALS = re.compile(r"learning (?:objectives|goals|outcomes)|objectives|lernziele", re.IGNORECASE)
_ASKS = re.compile(
    r"(?:review|practice|discussion|check|self-check|study|critical thinking|comprehension) (?:questions?|exercises?|your"
    r" (?:understanding|learning))"
    r"|exercises?|problems?|questions for (?:review|discussion)|test yourself|quiz|homework|aufgaben|übungen|übungsaufgaben"
    r"|wiederholungsfragen"
    r"|kontrollfragen|exercices|ejercicios",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r"(?:A(?:nswer|ntwort)?|Solution|Lösung)\s*\d{0,3}\s*[:.)]", re.IGNORECASE)
_FURNITURE = re.compile(
    r"(?:back to (?:the )?top|to the top|nach oben|top|skip to (?:main )?content|read more|weiterlesen|learn more|mehr erfahren"
    r"|show (?:more|less)|ok(?:ay)?"
    r"|share|print|drucken|next|previous|home|menu|search|advertisement|anzeige|was this (?:page|article|answer) helpful\??|war"
    r" das hilfreich\??"
    r"|war diese seite hilfreich\??|did this answer your question\??|edit|(?:last )?(?:updated|modified|reviewed)(?: on)?:?"
    r" .{4,30}|stand: .{4,30}"
    r"|zuletzt (?:geändert|aktualisiert)(?: am)?:? .{4,30}|posted (?:on|by) .{3,40}|\d+ min(?:ute)?s? read"
    r"|(?:page |seite )?[-–—]? ?\d{1,4} ?[-–—]?(?: (?:of|von) \d{1,4})?|(?:we|this (?:web)?site) uses? cookies.{0,200}|wir"
    r" verwenden cookies.{0,200}"
    r"|accept(?: all)?(?: cookies)?|alle akzeptieren|©.{0,160}|\(c\) \d{4}.{0,160}|(?:copyright|all rights reserved).{0,160}"
    r"|alle rechte vorbehalten.{0,80}"
    r"|\[illustration.{0,120}\]|\*{1,3}(?: +\*{1,3}){0,9}|[-_=~*#• ]{3,})\W{0,2}",
    re.IGNORECASE,
)
_HELPFUL = re.compile(r"(?:was (?:this|that)\b.{0,30}\bhelpful|did this answer|war (?:das|diese).{0,30}hilfreich).{0,10}", re.IGNORECASE)
_CAPTION = re.compile(
    r"(?:Figure|Fig\.|Table|Box|Photo|Image|Abbildung|Abb\.|Tabelle|Tab\.|Bild|Figura|Tableau)\s?(?:[A-Z]?\d{1,3}(?:[.-]\d{1,3}){0,2})[.:]?\s+(?!(?:shows?|gives?|lists?|is|are|was|and|or|contains?|illustrates?"
    r"|summarizes?|presents?|compares?|zeigt|nennt|enthält|gibt|und|oder|ist|listet)\b)\S.{0,300}"
    r"|(?:Photo|Image|Source|Quelle|Foto|Credit)s?:\s.{2,160}",
    re.IGNORECASE | re.DOTALL,
)
_COLUMNS = re.compile(r"\S(?: {3,}|\t| ?\.{4,} ?)\S")


def stands_apart(heading: str, blocks: Sequence[str]) -> bool:
    """Whether a section only leads through a document (contents, references), asks without answering (exercises), or is around it."""
    title = _NUMBERED.sub("", heading).strip(" .:*")
    if _LEADS.fullmatch(title):
        return True
    return bool(_ASKS.fullmatch(title)) and not any(_ANSWERED.match(block) for block in blocks)


def lists_goals(heading: str) -> bool:
    """Whether a section begins with what one will learn, so that what follows its list belongs to the heading before it."""
    return bool(_GOALS.fullmatch(_NUMBERED.sub("", heading).strip(" .:")))


def asks_for_praise(block: str) -> bool:
    """Whether a block asks if the page was of use: the short answers to choose from follow it."""
    return bool(_HELPFUL.fullmatch(block.strip()))


def is_furniture(block: str) -> bool:
    """Whether a block is no text: a button's words, a caption, a line of a table in columns, a row of stars."""
    said = block.strip()
    if not said or not any(map(str.isalnum, said)) or said.startswith("```"):
        return True
    lines = [line for line in said.split("\n") if line.strip()]
    in_columns = sum(bool(_COLUMNS.search(line.strip())) for line in lines)
    return bool(_FURNITURE.fullmatch(said) or _CAPTION.fullmatch(said)) or (in_columns >= 0.6 * len(lines))
