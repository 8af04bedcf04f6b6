"""Numbers as people say them."""

from __future__ import annotations

from loralab.core.words import about, count, duration, listed, plural, size


def test_seconds_are_said_no_finer_than_anybody_wants_to_know():
    seconds = {0.4: "0 s", 59.4: "59 s", 200: "3 min 20 s", 2530: "42 min", 7500: "2 h 5 min", None: "–", float("nan"): "–"}
    assert [duration(value) for value in seconds] == [*seconds.values()]
    guesses = {4: "10 seconds", 47: "50 seconds", 300: "5 minutes", 7200: "2.0 hours", 500_000: "6 days"}
    assert [about(value) for value in guesses] == [f"about {words}" for words in guesses.values()]


def test_bytes_are_said_in_the_units_of_download_pages():
    assert [size(n) for n in (0, 999, 3_900, 64_000, 4e6, 512e6, 1.4e9, 12.3e9, 16e9, 2.5e12)] == [
        *("0 bytes", "999 bytes", "3.9 kB", "64 kB", "4.0 MB"),
        *("512 MB", "1.4 GB", "12.3 GB", "16 GB", "2.5 TB"),
    ]


def test_a_count_agrees_with_its_noun_and_its_verb():
    said = {0: "0 rounds", 1: "1 round", 2: "2 rounds", 2.5: "2.5 rounds", 1204: "1,204 rounds"}
    assert [count(n, "round") for n in said] == [*said.values()]
    assert [f"{count(n, 'entry', 'entries')} {plural(n, 'is', 'are')}" for n in (1, 2)] == ["1 entry is", "2 entries are"]
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
