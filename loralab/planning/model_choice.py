"""Owns a model as a card: what is said of it where models are chosen."""

from __future__ import annotations

from loralab.core.records import Record
from loralab.models.suitability import languages_words


class ModelChoice(Record):
    """A model as a card: what it is, whether it will do for these examples, and what it costs."""

    name: str
    title: str
    words: str
    parameters: int
    good_for: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    licence: str = ""
    gated: bool = False
    source: str = "hub"
    here: bool = False
    download_bytes: int = 0
    fits: bool | None = None  # None: there are no examples yet
    minutes: float | None = None  # for these examples, here
    cannot: tuple[str, ...] = ()  # sentences: why it is the wrong one for these examples
    recommended: bool = False
    why: str = ""  # of a recommended one, in a few words
    benchmark: str = ""  # of a model that sees: how good it is, measured by others

    @property
    def able(self) -> bool:
        """Whether it will do: nothing speaks against it and it fits."""
        return not self.cannot and self.fits is not False

    @property
    def speaks(self) -> str:
        """Its languages: “English, Chinese, German and 35 more”."""
        return languages_words(self.languages)

    @property
    def at_hand(self) -> bool:
        """Whether it is here, or there in a minute without an account anywhere."""
        return self.here or self.source != "hub"
