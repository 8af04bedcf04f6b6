"""The tokenizer has words that the model has no place for.

What it looks like: the run breaks off at once, with an index that is out of range.

Why: tokenizer and model do not belong together, or words were added to the tokenizer without making room for them in the model.

What to do: download the model again. If you added words yourself, use the copy of the model that was enlarged with them.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R61", "template", "error", "block", before=True)
def check(case: Case) -> Found | None:
    """A token number in the examples that lies beyond the model's table of words."""
    facts = case.facts
    if facts is None or not facts.vocabulary or facts.highest < facts.vocabulary:
        return None
    evidence = (
        fact("highest token number in the examples", facts.highest),
        fact("words the model has a place for", facts.vocabulary),
        fact("words of the tokenizer", facts.tokenizer_size),
    )
    words = f"The examples contain token {facts.highest:,}; the model has room for only {facts.vocabulary:,}. A run would break off."
    return Found(0.98, words, evidence, (advice("Download the model again, or choose another one."),))
