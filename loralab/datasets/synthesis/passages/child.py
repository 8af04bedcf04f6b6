"""The process in which documents are read: `python -m loralab.datasets.synthesis.passages.child`. It answers as core/child_process says."""

from __future__ import annotations

import contextlib
import os
import sys
from bisect import bisect_right
from pathlib import Path
from typing import Any

from loralab.core.child_process import serve
from loralab.core.errors import LabError
from loralab.datasets.synthesis.makers import make
from loralab.datasets.synthesis.passages.document import LIMIT, Document, passages, read_document
from loralab.datasets.synthesis.rows import MadeRow, Passage, with_id

_MOST_LOST = 200  # parts of one document that are told one by one


class Reader:
    """What can be asked."""

    version = "1"

    def read(self, path: str, name: str, wanted: list[str]) -> dict[str, Any]:
        """The passages of a document and the rows that makers propose; `reason` where it cannot be read."""
        try:
            documents = read_document(Path(path).read_bytes(), name)
        except MemoryError:
            return {"reason": "It takes too much memory to read, so it was left alone.", "code": "too_much_memory"} | _nothing()
        except LabError as error:
            return {"reason": str(error.problem), "code": error.problem.code} | _nothing()
        found = _nothing()
        for document in documents:
            held = passages(document)
            rows = _rows(document, held, wanted)
            found["passages"] += [one.model_dump(mode="json") for one in held]
            found["rows"] += [row.model_dump(mode="json") for row in rows]
            found["lost"] += [f"{lost.source}: {lost.reason}" for lost in document.lost[:_MOST_LOST]]
        return found


def _nothing() -> dict[str, Any]:
    return {"passages": list[Any](), "rows": list[Any](), "lost": list[str]()}


def _rows(document: Document, held: list[Passage], wanted: list[str]) -> list[MadeRow]:
    """Drafts as rows, each with the passage its evidence stands in; where it goes on beyond its end, a longer one is added to `held`."""
    made: list[MadeRow] = []
    starts, known = [one.offset for one in held], {one.id for one in held}
    for kind, draft in make(document, wanted):
        at = bisect_right(starts, draft.start) - 1
        passage = held[at] if at >= 0 else None
        if passage is None or draft.end > passage.offset + len(passage.text):
            begun = passage.offset if passage and draft.end - passage.offset <= 2 * LIMIT else draft.start
            name = f"{document.name}#{begun}-{draft.end}"
            page = draft.row or document.page(begun)
            passage = Passage(
                id=name, source=document.name, page=page, offset=begun, heading=draft.topic, text=document.text[begun : draft.end]
            )
            if name not in known:
                known.add(name)
                held.append(passage)
        row = MadeRow(
            question=draft.question.strip(),
            answer=draft.answer.strip(),
            origin="extracted",
            kind=kind,
            topic=draft.topic[:120],
            source=document.name,
            page=draft.row or document.page(draft.start),
            offset=draft.start,
            evidence=document.text[draft.start : draft.end],
            passage_id=passage.id,
        )
        made.append(with_id(row))
    return made


def _limit() -> None:
    """Hold this process to its memory where the system does that; the parent watches it everywhere."""
    if sys.platform == "linux" and (most := int(os.environ.get("LORALAB_READER_MEMORY", "0"))):
        import resource  # noqa: PLC0415 - there is none on Windows

        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (most + (1 << 30), most + (1 << 30)))  # libraries reserve what they do not use


if __name__ == "__main__":
    _limit()
    serve(Reader)
