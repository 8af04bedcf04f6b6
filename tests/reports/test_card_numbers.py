"""The card's numbers as people write them: shares per cent, differences in points, settings by the names of the plan page."""

from __future__ import annotations

from pathlib import Path

from loralab.core.events import Evaluated, RunView
from loralab.core.records import Score
from loralab.reports.card import model_card, origin_of
from loralab.reports.score_words import between


def score(name: str, *values: float, share: bool = False) -> Score:
    before, after, low, high = values
    return Score(
        name=name, label=f"The {name}", before=before, after=after, n=60, difference=after - before, low=low, high=high, share=share
    )


def test_a_card_holds_no_raw_keys_and_no_raw_shares() -> None:
    scores = (
        score("right", 0, 0.8833, 0.798, 0.952, share=True),
        score("loss", 7.96, 0.082, -8.09, -7.66),
        score("empty", 0, 0, 0, 0, share=True),
    )
    view = RunView(run="r", state="finished", evaluations=(Evaluated(split="final", loss=1, n=60, scores=scores),))
    card = model_card("r", {"title": "T", "use_rslora": False, "max_steps": 0}, origin_of("starter", Path("starter")), view)
    assert "| The right | 0 % | 88 % | +88 points (+80 to +95 points) | 60 |" in card
    assert "| The loss | 7.96 | 0.08 | −7.88 (−8.09 to −7.66) | 60 |" in card
    assert "| The empty | 0 % | 0 % | 0 points | 60 |" in card
    assert between(scores[2]) == ""
    assert "| Rank-stabilised LoRA | False |" in card
    assert "use_rslora" not in card
    assert "max_steps" not in card
