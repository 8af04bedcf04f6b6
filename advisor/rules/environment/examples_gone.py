"""The file of examples cannot be read any more.

What it looks like: the run ends before its first update and names the file or one of its columns.

Why: the file was moved, renamed or changed, or lies on a drive that is not connected.

What to do: put it back, or open the file where it is now and start again.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words

CODES = frozenset(
    (
        "no_file",
        "no_examples",
        "not_text",
        "empty_file",
        "file_too_big",
        "folder_too_big",
        "bad_archive",
        "unsafe_archive",
        "nested_archive",
        "bad_excel",
        "bad_word",
        "bad_pdf",
        "no_text",
        "locked_file",
        "old_office",
        "picture",
        "no_such_part",
        "bad_json",
        "bad_parquet",
    )
)


@rule("R99", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run ended while it read its examples."""
    if code(case) not in CODES or case.ran:
        return None
    evidence = (fact("file of examples", case.plan.dataset), last_words(case))
    fix = advice("Open the file where it is now, and start again.")
    return Found(0.95, "The examples could not be read.", evidence, (fix,))
