"""The base model is gone, damaged or not the one the run began with.

What it looks like: the run ends before its first update, or cannot be resumed, and names the base model.

Why: an adapter only fits the very model it was trained on. The model's folder was removed, updated, moved or only half downloaded.

What to do: download the base model again, or put it back where it was. If you meant to use the new one, start a new run with it.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import code, last_words

CODES = {
    "base_changed": "The base model is not the one this run began with.",
    "not_downloaded": "The base model is not on this computer.",
    "no_folder": "The folder of the base model is gone.",
    "no_config": "The base model's folder is incomplete.",
    "no_weights": "The base model's folder contains no weights.",
    "incomplete_model": "The base model is incomplete.",
    "no_tokenizer": "The base model has no tokenizer.json.",
    "pickle_weights": "The base model's weights are in a format that can hide programs, so they were not opened.",
    "damaged": "A file of the base model is damaged.",
}


@rule("R98", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run ended with one of these words."""
    words = CODES.get(code(case))
    if words is None:
        return None
    fixes = (advice("Download the base model again."), advice("Start a new run with the model that is there."))
    return Found(0.97, words, (last_words(case),), fixes)
