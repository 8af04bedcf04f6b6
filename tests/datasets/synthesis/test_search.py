"""What documents are about: search, topics with gaps, the graph and the questions that go over two sentences."""

from __future__ import annotations

from loralab.datasets.synthesis.graph.knowledge import knowledge
from loralab.datasets.synthesis.graph.two_hop import two_hop
from loralab.datasets.synthesis.rows import MadeRow, Passage
from loralab.datasets.synthesis.search.space import Space
from loralab.datasets.synthesis.search.topics import topics

SUBJECTS = {
    "bread": "flour yeast oven loaf crust dough baker knead rise crumb",
    "boats": "harbour sail mast anchor tide rudder keel captain rope deck",
    "stars": "planet orbit telescope moon comet galaxy light year sun eclipse",
}


def shelf() -> list[Passage]:
    made: list[Passage] = []
    for subject, words in SUBJECTS.items():
        parts = words.split()
        for n in range(8):
            said = " ".join(parts[(n + k) % len(parts)] for k in range(6))
            made.append(Passage(id=f"{subject}{n}", source=f"{subject}.txt", text=f"Here we tell of {said} and of nothing else."))
    return made


def test_search_finds_the_passage_and_what_goes_with_its_words() -> None:
    passages = shelf()
    space = Space([one.text for one in passages])
    found = space.search("how does a telescope see a comet", 5)
    assert {passages[at].source for at, _ in found} == {"stars.txt"}
    assert space.search("zebra", 5) == []
    assert Space([]).search("anything") == []


def test_topics_part_what_is_apart_and_name_a_gap() -> None:
    passages = shelf()
    rows = [MadeRow(question=f"q{n}", answer="a", passage_id=one.id) for n, one in enumerate(passages) if not one.id.startswith("stars")]
    found = topics(passages, rows)
    assert sum(len(one.passages) for one in found) == len(passages)
    for one in found:
        assert len({name.rstrip("0123456789") for name in one.passages}) == 1, "a topic is of one subject"
    assert {one.gap for one in found if one.passages[0].startswith("stars")} == {True}
    assert {one.gap for one in found if not one.passages[0].startswith("stars")} == {False}
    assert topics([], rows) == ()


TEXT = (
    "Ada Marsh designed the Alder Mill near the river. The Alder Mill supplies Fenwick Bakery with flour. "
    "Many people admire Ada Marsh for that. Everybody in town knows the Fenwick Bakery and its bread."
)


def test_a_relation_says_its_sentence_and_where_it_stands() -> None:
    passage = Passage(id="p", source="town.txt", offset=100, text=TEXT)
    graph = knowledge([passage])
    designed = next(one for one in graph.relations if (one.first, one.second) == ("Ada Marsh", "Alder Mill"))
    assert designed.verb == "designed the"
    assert TEXT[designed.offset - 100 :].startswith(designed.sentence)
    assert {one.name for one in graph.entities} >= {"Ada Marsh", "Alder Mill", "Fenwick Bakery"}
    assert all(0 <= one.x <= 1 and 0 <= one.y <= 1 for one in graph.entities)
    assert graph.around("Fenwick Bakery")


def test_a_question_over_two_sentences_quotes_the_second() -> None:
    (row,) = two_hop(knowledge([Passage(id="p", source="town.txt", text=TEXT)]))
    assert row.question == "“Ada Marsh designed the ____ near the river.” What else is said of what belongs in the gap?"
    assert row.answer == row.evidence == "The Alder Mill supplies Fenwick Bakery with flour."
    assert list(two_hop(knowledge([Passage(id="p", source="t", text="It rained. Nobody came.")]))) == []
