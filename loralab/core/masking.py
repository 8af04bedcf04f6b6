"""Owns hiding keys of the Hugging Face Hub in whatever is written down. Invariant: nothing else of a text is changed."""

from __future__ import annotations

import logging
import re

HIDDEN = "hf_…"
# A token is “hf_” and thirty letters and digits or more, or “hf_oauth_” and a longer code; names of files have other signs between.
_TOKEN = re.compile(r"\bhf_(?:(?:oauth|jwt)_[A-Za-z0-9._~+/=-]{16,}|[A-Za-z0-9]{30,})")


def masked(text: str) -> str:
    """The text with every token in it hidden."""
    return _TOKEN.sub(HIDDEN, text) if "hf_" in text else text


class Masking(logging.Filter):
    """Hides tokens in all that a log is given, its tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: a line is never left out, only changed."""
        record.msg, record.args = masked(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = masked(record.exc_text) if record.exc_text else record.exc_text
        return True
