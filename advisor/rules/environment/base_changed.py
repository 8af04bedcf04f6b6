"""The base model is gone, damaged or not the one the run began with.

What it looks like: the run ends before its first update, or cannot be resumed, and names the base model.

Why: an adapter only fits the very model it was trained on. The model's folder was removed, updated, moved or only half downloaded.

What to do: download the base model again, or put it back where it was. If the new one is meant, start a new run on it.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import code, last_words

CODES = {
    "base_changed": "The base model is another one than the run began with.",
    "not_downloaded": "The base model is not on this computer.",
    "no_folder": "The folder of the base model is gone.",
    "no_config": "The base model's folder is incomplete.",
    "no_weights": "The base model's folder holds no weights.",
    "incomplete_model": "The base model is incomplete.",
    "no_tokenizer": "The base model has no tokenizer.json.",
    "pickle_weights": "The base model's weights are in a form that may hide programs, and were not opened.",
    "damaged": "A file of the base model is damaged.",
}


@rule("R98", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run ended with one of these words."""
    words = CODES.get(code(case))
    if words is None:
        return None
    fixes = (advice("Download the base model again."), advice("Start a new run on the model there is."))
    return Found(0.97, words, (last_words(case),), fixes)
