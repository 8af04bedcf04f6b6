"""Every bundled template is trained as it stands, with one click's plan, and keeps what its card promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.records import Proposal
from loralab.core.verdict import Verdict
from loralab.lab import Lab, Template
from loralab.templates.zoo import templates

pytestmark = [pytest.mark.worker, pytest.mark.nightly, pytest.mark.long]
ALL = templates(Path("/nowhere"))
BETTER = {"no": ("no", "partly", "you_decide", "yes"), "partly": ("partly", "yes"), "you_decide": ("you_decide", "yes"), "yes": ("yes",)}


def promised(one: Template, found: Verdict | None) -> bool:
    """Whether a verdict is what the card says, or better: it learned, and is as usable."""
    usable = one.recipe.usable
    if found is None or usable is None:
        return False
    learned = ("yes", "unknown", "no") if usable == "no" else ("yes",)  # a card that promises nothing says so
    return found.learned in learned and found.usable in BETTER[usable]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_it_keeps_its_promise(one: Template, home: Path) -> None:
    lab, recipe = Lab(home), one.recipe
    if not lab.check_model(recipe.model).present:
        pytest.skip(f"{recipe.model} is not on this computer")
    profile = lab.profile(one.data, recipe.model, recipe.roles or None)
    proposal: Proposal = lab.propose(profile, recipe.model, **recipe.plan)
    view = lab.wait(lab.start(proposal))
    said = view.conclusion
    assert promised(one, said), f"{view.state}: {said and (said.learned_words, said.usable_words, said.but)}"


@pytest.mark.parametrize(
    ("promise", "learned", "usable", "kept"),
    [
        ("yes", "yes", "yes", True),
        ("yes", "yes", "partly", False),
        ("yes", "unknown", "yes", False),
        ("partly", "yes", "yes", True),
        ("partly", "yes", "you_decide", False),
        ("you_decide", "yes", "no", False),
        ("no", "unknown", "no", True),
    ],
)
def test_a_promise_that_is_not_kept_is_seen(promise: str, learned: str, usable: str, kept: bool) -> None:
    one = ALL[0].model_copy(update={"recipe": ALL[0].recipe.model_copy(update={"usable": promise})})
    found = Verdict.model_validate({"learned": learned, "learned_words": "", "usable": usable, "usable_words": ""})
    assert promised(one, found) is kept
    assert not promised(one, None)
