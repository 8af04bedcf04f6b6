"""Owns the facts about a run that failures have been seen to depend on: of its examples as the model sees them, and of the model itself.

Invariant: counts are of all examples, never of a sample (but where `looked` says so), so that a rule may name the rows.
"""

from __future__ import annotations

from pydantic import Field

from loralab.core.records import Record

MOSTLY_STRUCTURE = 0.5  # share of what is learned, from which on it is no language
TINY_PIXELS = 8  # of a thing as the model looks at it: two places of the finest features that its answers are made of


class Facts(Record):
    """What a run learns from and with. Counts are of examples; `rows` holds the first row numbers behind a count, by its name."""

    data: str = ""  # content id of all examples: the same examples give the same id
    n_train: int = 0
    n_heldout: int = 0
    tokens: dict[str, int] = Field(default_factory=dict)  # cost of training rows as cut: p50, p90, p95, p99, max, total, learned; in `unit`
    unit: str = "tokens"
    cut: int = 0  # lose their end at max_length
    unended: int = 0  # conversations whose learned part has no token that ends an answer
    unlearned: int = 0  # left out: nothing to learn from within max_length
    empty: int = 0  # with an answer of no words
    repeated: int = 0  # exact repeats among the training examples
    shared: int = 0  # held-out examples that are among the training examples, too
    begun_twice: int = 0  # begin with two beginning-of-text tokens
    answers: int = 0  # different answers
    questions_repeated: int = 0  # training examples whose question was asked before, with another answer
    classes: int = 0
    plain: bool = False  # texts, no conversations
    template: bool = True  # the model came with a chat template of its own
    stops: int = 0  # tokens that end an answer
    pads_with_stop: bool = False  # short rows are filled up with the token that ends an answer
    architecture: str = ""
    parameters: int = 0
    hidden: int = 0
    layers: int = 0
    vocabulary: int = 0
    context: int = 0  # longest text the model can read, in tokens
    tokenizer_size: int = 0
    trainable: int = 0  # weights that learn; 0 before a run
    device: str = ""
    place: str = ""  # fingerprint of the computer it ran on, versions included
    room: int = 0  # bytes a run could take there when it began
    rows: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    refused: int = 0  # conversations the model's chat template cannot render; known before a run only, which they stop
    asked_otherwise: int = 0  # whose last answer is asked for with other words than it is learned after
    template_added: tuple[str, ...] = ()  # what the model's template lacked and was given: system | beginning | end
    structure: float = 0.0  # share of the learned tokens that are brackets, quotes, names of fields or ids
    objects: int = 0  # training examples whose answer is an object or a list, written down as JSON
    rewritten: int = 0  # the template changes the answers, so that questions are learned, too
    unsaid: int = 0  # with words that the template leaves out
    unsaid_roles: tuple[str, ...] = ()  # whose words
    marked: int = 0  # whose own words hold the marks of a chat template
    garbled: int = 0  # with letters garbled or lost by a wrong encoding
    hollow: int = 0  # answered by a placeholder only
    written_down: int = 0  # plain texts that hold a conversation, with who speaks
    near_shared: int = 0  # held-out examples that are nearly the same as one that is learned from
    near_repeated: int = 0  # training examples that are nearly the same as an earlier one
    odd_script: int = 0  # answers written in other letters than most
    scripts: int = 0  # in how many kinds of letters the answers are
    commonest: int = 0  # training examples with the commonest answer
    same_question: int = 0  # training examples with the commonest question
    ties: int = 0  # questions and answers tied by a word that stands in no others
    own_ties: int = 0  # of these, between a question and its own answer
    slip: int = 0  # rows further on that answers lie most often; `slip_ties` of the ties
    slip_ties: int = 0
    foretold: float = (
        0.0  # deviations above chance by which likeness of questions goes with likeness of answers (loralab/datasets/predictability.py)
    )
    foretold_pairs: int = 0  # in so many pairs; 0: not measured
    learnable: float = 0.0  # deviations above chance by which simple learners foretell answers (loralab/datasets/learnable.py)
    learnable_pairs: int = 0  # in so many pairs; 0: not told
    learnable_found: float = 0.0  # how right the better of them is, and the 95 % of what other orders of the answers give it
    learnable_chance: float = 0.0
    learnable_classes: bool = False  # the answers are few different ones
    answer_numbers: float = 0.0  # share of the answers that are numbers
    answer_codes: float = 0.0  # that are codes without words
    halves_within: float = 0.0  # of classes: how right a simple learner is inside each half of the file, and from one on the other
    halves_across: float = 0.0
    opposed_share: float = (
        0.0  # of the questions that have one alike, those whose nearest has quite another answer; `rows`: the clearest two
    )
    longest_share: float = 0.0  # of learned tokens, in the longest hundredth of the examples
    highest: int = 0  # highest token number in any example
    guessed: bool = False  # which column plays which role is a guess that nobody confirmed
    looked: int = 0  # examples that were looked at, where a large file was only sampled before a run; 0: all
    split_marks: tuple[str, ...] = ()  # marks of the template that the tokenizer does not know as one token
    answer_share: float = 1.0  # of the letters of the training examples, in the answers
    # ---- of pictures: counts are of those it learns from, and of what is in them
    n_watched: int = 0  # pictures to choose by while learning, neither learned from nor judged on
    sides: dict[str, int] = Field(default_factory=dict)  # longer sides of the pictures in their files: p10, p50, p90, in pixels
    of_class: dict[str, int] = Field(default_factory=dict)  # by class: pictures, boxes, or pictures in which it is marked
    things: int = 0  # boxes, or marked areas (one for each class in a picture)
    tiny: int = 0  # of these, with a side of fewer pixels than can be told, as the model looks at them (TINY_PIXELS)
    small_side: float = 0.0  # one thing in ten has a shorter side than this share of its picture's longer side
    blank: int = 0  # pictures with masks that mark nothing
    filled: int = 0  # pictures that are marked nearly everywhere
    marked_share: float = 0.0  # that is marked of the middle picture
    apart: int = 0  # pictures put aside, because the files have a copy, or more of the same patient, among those to test with
    group_shared: int = 0  # held-out pictures of a patient or source that is learned from, too
    two_classes: int = 0  # pictures that are there again with another class
    shortcuts: tuple[str, ...] = ()  # what tells the classes apart without a look at what is shown, in sentences
    medical: bool = False  # pictures of patients
    # ---- of pictures that teach to draw
    captions: int = 0  # different captions
    uncaptioned: int = 0  # pictures without one
    said_trigger: int = 0  # captions in which the trigger word stands
    oblong: int = 0  # pictures that are more than three times as long as wide


def point_name(kind: str, run: str, step: int, *, failed: bool) -> str:
    """What a point is called where it is to be forgotten alone."""
    return f"{kind}:{run}:{step}:{'failed' if failed else 'fits'}"
