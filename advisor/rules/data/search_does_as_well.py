"""A search through the examples would be right as often.

What it looks like: to each question kept aside, the nearest question it learned from is looked up and its answer is taken. That is right as
often as the model, or more often.

Why: the new questions are so much like the learned ones that nothing has to be understood, or the model did not learn what there is.

What to do: if all questions will be like these, a search serves you as well and is quicker. Otherwise add questions that are asked in other
ways, and keep some of those aside to test with.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R112", "data", "info", "inform", during=False)
def check(case: Case) -> Found | None:
    """The verdict's own comparison with looking up; more than information where the search did clearly better."""
    found = case.view.conclusion if case.view else None
    if found is None or not found.search:
        return None
    evidence = [fact(found.search_words.removesuffix("."))]
    better = found.search == "better"
    words = f"{found.search_words} {'The training is not worth it as it is.' if better else 'Nothing more was needed for these questions.'}"
    fixes = (advice("Add questions that are asked in other ways.", "add"),)
    return Found(0.55 if better else 0.3, words, evidence, fixes, severity="warning" if better else "info")
