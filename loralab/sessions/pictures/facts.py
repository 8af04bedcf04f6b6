"""Owns what a run on pictures notes of itself before its first update: what it learns from, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loralab.core.facts import Facts
from loralab.core.records import Example
from loralab.core.words import count
from loralab.datasets.images.parts import Parts
from loralab.datasets.images.pictures import Pictures
from loralab.datasets.images.run_facts import of_drawing, of_pictures


@dataclass(frozen=True)
class Learner:
    """What learns, and where: weights in all and of those that learn, the kind of device, the computer and the bytes it has free, and the
    name of the network.
    """

    parameters: int
    trainable: int
    device: str
    place: str
    room: int
    architecture: str


def facts_of(
    pictures: Pictures,
    sides: tuple[Sequence[Example], Sequence[Example], Sequence[Example]],
    image_size: int,
    learner: Learner,
    guessed: bool,
    trigger: str = "",
) -> Facts:
    """The facts of a run. `sides`: what it learns from, chooses by and is judged on; `guessed`: nobody confirmed what the files are;
    `trigger`: the word that stands for what is drawn.
    """
    learned, watched, heldout = (tuple(side) for side in sides)
    taken = {example.row for side in sides for example in side}
    apart = tuple(example for example in pictures.examples if example.row not in taken)
    divided = Parts(learned, watched, heldout, apart)
    return Facts.model_validate(
        of_pictures(pictures, divided, image_size)
        | of_drawing(pictures, divided, trigger)
        | {
            "architecture": learner.architecture,
            "parameters": learner.parameters - learner.trainable,
            "trainable": learner.trainable,
            "device": learner.device,
            "place": learner.place,
            "room": learner.room,
            "guessed": guessed,
        }
    )


def told(facts: Facts) -> str:
    """The same for people, in a sentence."""
    watched = f"choosing by {facts.n_watched:,}, {facts.n_heldout:,} held out"
    return f"Learning from {count(facts.n_train, 'picture')}, {watched}; {facts.trainable / 1e6:.2f} million weights learn."
