"""Each part of the page has a name of its own: errors, scripts and tests find it by that."""

from __future__ import annotations

import re
from collections import Counter

from loralab.core.paths import CHECKOUT


def test_no_two_parts_have_the_same_id() -> None:
    files = [path.read_text("utf-8") for path in (CHECKOUT / "ui").rglob("*.py")]
    found = Counter(name for text in files for name in re.findall(r'elem_id="([\w-]+)"', text))
    assert len(found) > 80, "the search itself works"
    assert [name for name, times in found.items() if times > 1] == []
