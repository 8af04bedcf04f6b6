"""True numbers said of the wrong thing, and words of the evidence turned round: none is shown. What says the same rightly is.

MISLEADING was written before the check that drops it, when 48 of its 62 sentences got through; LATER after that check, to test it: six of
47 got through, which made it stricter once more.
"""

from __future__ import annotations

import pytest

from advisor.assistant.checked import SAID, Checked, bare, refused
from advisor.assistant.evidence import Pack, Row
from advisor.assistant.prompts import facts
from advisor.assistant.relevance import asked_about
from advisor.diagnosis.findings import Evidence, Fix
from tests.advisor.test_assistant_checked import PACK


def _pack(state: str, verdict: str, causes: tuple[str, ...], ways: tuple[Fix, ...], rows: tuple[Evidence, ...]) -> Pack:
    named = tuple(Row(name=f"E{n}", evidence=one) for n, one in enumerate(rows, 1))
    return Pack(run="r", state=state, verdict=verdict, causes=causes, ways=ways, rows=named, settings={"learning_rate": 0.008})


FINE = _pack(
    "finished",
    "better",
    (),
    (),
    (
        Evidence(what="held-out loss before training", value=6.25),
        Evidence(what="held-out loss after training", value=0.9384),
        Evidence(what="share by which the held-out loss fell", value=0.8499),
        Evidence(what="updates made", value=54, unit="updates"),
        Evidence(what="learning rate", value=0.008),
        Evidence(what="examples learned from", value=70, unit="examples"),
        Evidence(what="time of training", value=180, unit="seconds"),
        Evidence(what="updates planned", value=144, unit="updates"),
    ),
)
ONE_ANSWER, IN_BF16 = (
    Fix(words="Keep one answer for each question."),
    Fix(words="Keep the weights in bf16.", settings={"precision": "bf16"}),
)
MIXED = _pack(
    "finished",
    "cannot tell yet",
    ("Some questions have two different answers",),
    (ONE_ANSWER,),
    (
        Evidence(what="examples whose question had another answer before", value=163),
        Evidence(what="updates made", value=144, unit="updates"),
        Evidence(what="lowest loss on held-out examples", value=0.5601, step=90),
        Evidence(what="learning rate", value=0.002),
        Evidence(what="last loss on held-out examples", value=0.76, step=144),
        Evidence(what="examples learned from", value=210, unit="examples"),
    ),
)
TOO_LARGE = _pack(
    "failed",
    "",
    ("The model alone does not fit into memory",),
    (IN_BF16,),
    (Evidence(what="updates made", value=0, unit="updates"), Evidence(what="learning rate", value=0.002)),
)
PACKS = {"fine": FINE, "mixed": MIXED, "too large": TOO_LARGE, "ran away": PACK}

MISLEADING = {
    "fine": """
        The held-out loss fell from 0.94 to 6.25 [E1, E2].
        The held-out loss went from 0.94 to 6.25 [E1, E2].
        The loss rose from 6.25 to 0.94 [E1, E2].
        The value rose from 6.25 to 0.94 in the training [E1, E2].
        The held-out loss before training was 0.94 [E2].
        The held-out loss after training was 6.25 [E1].
        The held-out loss was 6.25 [E1].
        The loss was 0.94 before training and 6.25 after training [E1, E2].
        The held-out loss fell by 0.94 [E2].
        The held-out loss fell to 85 % [E3].
        The held-out loss was 85 % [E3].
        The held-out loss fell to 0.85 [E3].
        The held-out loss fell by 0.85 [E3].
        The accuracy after training was 0.94 [E2].
        The error of the model after training was 0.94 [E2].
        The run made 144 updates [E8].
        The training planned 54 updates [E4].
        The model learned from 54 examples [E4].
        It took 3 minutes per update [E7].
        The training took 3 minutes for each example [E7].
        The held-out loss did not fall from 6.25 to 0.94 [E1, E2].
        The learning rate of 0.008 was too low [E5].
        The learning rate of 0.008 was normal for this model [E5].
        The held-out loss fell significantly from 6.25 to 0.94 [E1, E2].
        The training was a great success [E1].
        The held-out loss fell because of the learning rate of 0.008 [E5].
        The held-out loss fell from 6.25 to 0.94 because of 70 examples [E1, E2, E6].
        The learning rate fell by 85 % [E3].
        The learning rate fell from 6.25 to 0.94 [E1, E2].
        What was the held-out loss before training?
        The training is the training of the training loss.
        The learning rate was 0.008.
        Congratulations, the run is better.
        The model made 70 updates from 54 examples [E4, E6].
        The loss on examples was 70 [E6].
        The held-out loss after training is lower than 0.94 [E2].
        The held-out loss fell by more than 85 % [E3].
        The held-out loss was 6.25 after 54 updates [E1, E4].
    """,
    "mixed": """
        The run learned from 163 examples [E1].
        It stopped at update 90 [E3].
        The last loss on held-out examples was 0.56 [E3].
        The lowest loss on held-out examples was 0.76 [E5].
        The lowest loss on held-out examples was at update 144 [E5].
        The held-out loss was 0.56 at update 144 [E3, E5].
        Some questions do not have two different answers.
        The questions have different answers because of the learning rate [E4].
        The held-out loss was lowest at the end [E3, E5].
    """,
    "too large": """
        The model is not a model.
        The model is not a computer.
        The model alone does fit into memory.
        The model fits into memory.
        The run failed because the learning rate was 0.002 [E2].
        The run failed because of zero updates [E1].
        Do not keep the weights in bf16.
        The memory alone does not fit into the model.
    """,
    "ran away": """
        Do not use a learning rate of 0.002.
        The learning rate was 0.002.
        Avoid a learning rate of 0.002.
        The training did not run away.
        The corrections were not too big.
        The training ran away at update 40 [E2].
        The corrections were too big because the training ran away.
    """,
}
LATER = {
    "fine": """
        The model started with a loss of 0.94 and finished with 6.25 [E2, E1].
        Training brought the held-out loss up from 0.94 to 6.25 [E2, E1].
        The held-out loss ended at 6.25 [E1].
        The final held-out loss was 6.25 [E1].
        At the start the held-out loss was only 0.94 [E2].
        Only 54 of the examples were learned from [E4].
        The run completed all 144 updates [E8].
        It needed 144 updates to get there [E8].
        The held-out loss decreased by a factor of 6.25 [E1].
        After 3 minutes the held-out loss was 6.25 [E1, E7].
        Each update took 3 minutes [E7].
        The model saw 70 examples in each update [E6].
        The learning rate dropped to 0.94 during training [E2].
        The loss is 0.94, which is very good [E2].
        The held-out loss is now 85 % [E3].
        85 % of the examples were learned [E3, E6].
        The model gets 85 % of the answers right [E3].
        The model improved by 85 % in accuracy [E3].
        The held-out loss went down 85 times [E3].
        The training stopped because the loss reached 0.94 [E2].
        The learning rate of 0.008 made the held-out loss fall [E5].
        70 examples were enough for this run [E6].
        The model now answers 85 % better than before [E3].
        The run was stopped after 54 updates [E4].
        With 144 updates the held-out loss would be lower [E8].
        The loss of 0.94 shows that the model understands the examples [E2].
        The held-out loss is 0.94 on 70 examples [E2, E6].
        The training loss fell from 6.25 to 0.94 [E1, E2].
        The held-out loss after training was 0.94, so nothing is left to learn [E2].
        The updates made 0.94 of the difference [E2].
    """,
    "mixed": """
        The run got its best result at update 144 [E5].
        All 210 examples had another answer before [E1, E6].
        Of 163 examples, 210 had another answer [E1, E6].
        The held-out loss rose from 0.56 to 0.76 because of the learning rate [E3, E5].
        163 of the questions were answered wrong [E1].
        The run learned 0.76 on held-out examples [E5].
        The model reached its lowest loss of 0.56 after 144 updates [E3, E2].
        The last loss of 0.76 was at update 90 [E5, E3].
        The examples were cut after 163 [E1].
        Some answers have two different questions.
    """,
    "too large": """
        The run made 0 updates because the learning rate was 0.002 [E1, E2].
        The model does not need memory.
        The memory does not fit the computer.
        The weights alone do not fit into bf16.
        The state of the run is not failed.
        The run failed without a cause.
    """,
}
TRUE = {
    "fine": """
        The held-out loss fell from 6.25 to 0.94 [E1, E2].
        The held-out loss was 6.25 before training and 0.94 after training [E1, E2].
        Before training, the held-out loss was 6.25 [E1].
        After training the held-out loss was 0.94, compared with 6.25 before training [E1, E2].
        The held-out loss fell by 85 % [E3].
        The held-out loss is 85 % lower than before [E3].
        The run made 54 updates [E4].
        The run made 54 updates in 3 minutes [E4, E7].
        The training took 3 minutes [E7].
        The learning rate was 0.008 [E5].
        The model learned from 70 examples [E6].
        Of the planned 144 updates the run made 54 [E4, E8].
        The run finished, and the verdict is better.
        At the start the held-out loss was 6.25, and at the end it was 0.94 [E1, E2].
        The held-out loss dropped from 6.25 to 0.94, which is 85 % less [E1, E2, E3].
        It took 3 minutes to make 54 updates [E7, E4].
        The run learned from 70 examples with a learning rate of 0.008 [E6, E5].
        The final held-out loss was 0.94 [E2].
        The run planned 144 updates [E8].
    """,
    "mixed": """
        The lowest loss on held-out examples was 0.56 at update 90 [E3].
        The loss on held-out examples was lowest at update 90 [E3].
        163 examples have a question that had another answer before [E1].
        Some questions have two different answers.
        The verdict cannot tell yet.
        The last loss on held-out examples was 0.76 at update 144 [E5].
        On held-out examples the lowest loss was 0.56 and the last loss was 0.76 [E3, E5].
        163 examples have questions that had another answer before [E1].
    """,
    "too large": """
        The model alone does not fit into memory.
        The run failed because the model does not fit into memory.
        Keep the weights in bf16.
        You should keep the weights in bf16.
        The run failed and made 0 updates [E1].
    """,
}


def _each(told: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, line.strip()) for name, lines in told.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize(("name", "sentence"), _each(MISLEADING) + _each(LATER))
def test_a_true_number_in_a_wrong_sentence_is_dropped(name: str, sentence: str) -> None:
    assert refused(sentence, PACKS[name])


@pytest.mark.parametrize(("name", "sentence"), _each(TRUE))
def test_what_says_it_rightly_is_shown(name: str, sentence: str) -> None:
    assert refused(sentence, PACKS[name]) == ""


def test_what_the_rules_said_already_adds_nothing() -> None:
    told = "It ended as planned. The loss on 24 held-out examples fell from 6.25 to 0.94, 85 % less."
    checked = Checked(FINE, told)
    again, new = "The held-out loss fell from 6.25 to 0.94 [E1, E2].", "The run made 54 updates [E4]."
    assert list(checked.feed(f"{again} {new} {new} ")) == [new]
    assert [why for _, why in checked.dropped] == [SAID, SAID]
    assert list(Checked(FINE).feed(f"{again} ")) == [again], "and is shown where nobody said it"


def test_a_true_sentence_that_nobody_asked_for_is_left_out() -> None:
    asked = {"how long did it take?": "The training took 3 minutes [E7].", "did it get better?": "The held-out loss fell by 85 % [E3]."}
    for question, answer in asked.items():
        checked = Checked(FINE, "", asked_about(question, FINE))
        assert list(checked.feed(" ".join([*asked.values(), ""]))) == [answer]
    assert list(Checked(FINE, "", asked_about("What is the capital of France?", FINE)).feed(" ".join([*asked.values(), ""]))) == []
    assert list(Checked(FINE, "", asked_about("tell me the story", FINE)).feed(" ".join([*asked.values(), ""]))) == [*asked.values()]


def test_the_evidence_stands_in_a_prompt_as_sentences_that_may_be_said_again() -> None:
    for pack in PACKS.values():
        for line in facts(pack.model_copy(update={"causes": (), "ways": ()})).splitlines()[-len(pack.rows) :]:
            assert refused(line, pack) == "", line


def test_a_person_reads_a_sentence_without_the_names_of_its_rows() -> None:
    assert (
        bare("The loss was 6.25 [E1] before and 0.94 [E2], after training [E1, E2].")
        == "The loss was 6.25 before and 0.94, after training."
    )
