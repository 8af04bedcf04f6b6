"""Owns how programs lay out rows in one JSON document: pandas, the Hub's rows, SQuAD, Label Studio, splits, intents, chats.

Invariant: a document is known by its own marks, and each thing in it that could be an example becomes a row or is named with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loralab.core.errors import UserError
from loralab.datasets.conversations import chats
from loralab.datasets.conversations.turns import Turn, turns_of
from loralab.datasets.formats.literals import parsed
from loralab.datasets.formats.tabular import has_header
from loralab.datasets.tables.columns import WORDS, is_known, key

Found = tuple[int, Any, str]  # number, row, reason why it is none ("" when it is)
Object = Mapping[str, Any]

_SPLITS = frozenset(
    (
        *("train", "training", "trainset", "test", "testing", "testset", "validation", "valid", "val", "dev", "eval", "evaluation"),
        *("heldout", "holdout", "devset", "valset", "trn", "tst"),
    )
)
_MANY = 9  # texts under texts: fewer are the fields of one thing
_NOT_ROWS = frozenset(map(key, (*WORDS["messages"], "instances", "history")))


def rows_of(whole: Any) -> list[Found] | None:
    """The rows of a document in a known layout, in its own order; None where it has none of them."""
    found = next((list(found) for layout in _LAYOUTS if (found := layout(whole)) is not None), None)
    if found and all(reason for _, _, reason in found):
        raise UserError(f"There is nothing to learn from in it. {found[0][2]}", "Choose a file with examples in it.", code="no_examples")
    return found


def _numbered(values: Sequence[Any]) -> list[Found]:
    return [(number, value, "") for number, value in enumerate(values, 1)]


# ---- pandas ------------------------------------------------------------------------------------------------------------------


def _pandas_split(whole: Any) -> list[Found] | None:
    """{"columns": [...], "index": [...], "data": [[...], ...]}."""
    if not isinstance(whole, Mapping) or not set(whole) <= {"columns", "index", "data", "index_names", "column_names"}:
        return None
    columns, data = whole.get("columns"), whole.get("data")
    if not isinstance(columns, list) or not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        return None
    names = [str(name) for name in columns]
    wrong = f"The row has another number of cells than the {len(names)} columns."
    return [(n, dict(zip(names, row, strict=False)), "" if len(row) == len(names) else wrong) for n, row in enumerate(data, 1)]


def _pandas_table(whole: Any) -> list[Found] | None:
    """{"schema": {...}, "data": [{...}, ...]}."""
    if not isinstance(whole, Mapping) or set(whole) != {"schema", "data"} or not isinstance(whole["data"], list):
        return None
    return _numbered(whole["data"])


def _pandas_crossed(whole: Any) -> list[Found] | None:
    """{column: {index: cell}} or {index: {column: cell}}."""
    if not isinstance(whole, Mapping) or len(whole) < 1 or not all(isinstance(inner, Mapping) and inner for inner in whole.values()):
        return None
    inner = list(dict.fromkeys(str(name) for below in whole.values() for name in below))
    if _are_columns(list(map(str, whole)), inner, whole):
        same = {str(name): below for name, below in whole.items()}
        return _numbered([{name: _at(below, at) for name, below in same.items()} for at in inner])
    if _are_columns(inner, list(map(str, whole)), {}) or (all(len(below) == len(inner) for below in whole.values()) and len(whole) > 1):
        return _numbered([dict(below) for below in whole.values()])
    return None


def _at(below: Mapping[Any, Any], at: str) -> Any:
    return below.get(at, below.get(int(at)) if at.lstrip("-").isdigit() else None)


def _are_columns(outer: Sequence[str], inner: Sequence[str], whole: Mapping[str, Any]) -> bool:
    """Whether the outer names are columns and the inner ones numbers of rows."""
    if any(turns_of(below) for below in whole.values()):
        return False
    numbers = all(name.lstrip("-").isdigit() for name in inner)
    if numbers or all(name.lstrip("-").isdigit() for name in outer):
        return numbers and not all(name.lstrip("-").isdigit() for name in outer)
    return 2 * sum(map(is_known, outer)) >= len(outer) and 2 * sum(map(is_known, inner)) < len(inner)


# ---- the Hub, SQuAD, splits ---------------------------------------------------------------------------------------------------


def _hub_rows(whole: Any) -> list[Found] | None:
    """The answer of the Hub about rows: {"features": [...], "rows": [{"row_idx": 0, "row": {...}}]}."""
    rows = whole.get("rows") if isinstance(whole, Mapping) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) and isinstance(row.get("row"), Mapping) for row in rows):
        return None
    features = whole.get("features")
    classes = {
        str(feature.get("name")): feature["type"]["names"]
        for feature in (features if isinstance(features, list) else [])
        if isinstance(feature, Mapping) and isinstance(feature.get("type"), Mapping) and isinstance(feature["type"].get("names"), list)
    }
    return [_hub_row(place, row, classes) for place, row in enumerate(rows)]


def _hub_row(place: int, row: Object, classes: Mapping[str, list[Any]]) -> Found:
    number = row.get("row_idx")
    values = dict(row["row"])
    for column, words in classes.items():
        at = values.get(column)
        if isinstance(at, int) and 0 <= at < len(words):
            values[column] = words[at]
    cut = row.get("truncated_cells")
    reason = f"The Hub has cut off “{cut[0]}” in this row." if isinstance(cut, list) and cut else ""
    return number + 1 if isinstance(number, int) else place + 1, values, reason


def _squad(whole: Any) -> Iterator[Found] | None:
    """SQuAD: articles of paragraphs, each with questions about it."""
    articles = whole.get("data") if isinstance(whole, Mapping) else whole
    if not isinstance(articles, list) or not articles or not all(isinstance(one, Mapping) and "paragraphs" in one for one in articles):
        return None
    return _questions(articles)


def _questions(articles: Sequence[Object]) -> Iterator[Found]:
    paragraphs = [paragraph for article in articles for paragraph in _objects(article["paragraphs"])]
    number = 0
    for paragraph in paragraphs:
        for asked in _objects(paragraph.get("qas")) or [{}]:
            number += 1
            answers = [answer["text"] for answer in _objects(asked.get("answers")) if answer.get("text")]
            if answers:
                values = {"context": paragraph.get("context", ""), "question": asked.get("question", ""), "answer": answers[0]}
                yield number, values, ""
            else:
                said = "says that the text does not answer it" if asked.get("is_impossible") else "has no answer to it"
                yield number, None, f"Question {number} is left out: the file {said}." if asked else "A text without questions."


def _objects(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _splits(whole: Any) -> list[Found] | None:
    """{"train": [...], "test": [...]}: each row says which it is of."""
    if not isinstance(whole, Mapping) or len(whole) < 2 or not all(key(str(name)) in _SPLITS for name in whole):
        return None
    rows: list[Any] = []
    for name, below in whole.items():
        inner = rows_of(below)
        found = [value for _, value, _ in inner] if inner is not None else below if isinstance(below, list) else [below]
        rows += [_of_split(row, str(name)) for row in found]
    return _numbered(rows)


def _of_split(row: Any, name: str) -> Any:
    if isinstance(row, Mapping):
        return {"split": name, **row}
    return {"messages": row, "split": name} if isinstance(row, list) and turns_of(row) else row


# ---- Label Studio, intents ------------------------------------------------------------------------------------------------------


def _label_studio(whole: Any) -> list[Found] | None:
    """Tasks with what people marked: a choice, or words they wrote."""
    if not isinstance(whole, list) or not whole or not all(isinstance(task, Mapping) for task in whole):
        return None
    if not all(isinstance(task.get("data"), Mapping) and ("annotations" in task or "completions" in task) for task in whole):
        return None
    return [_task(number, task) for number, task in enumerate(whole, 1)]


def _task(number: int, task: Object) -> Found:
    done = _objects(task.get("annotations") or task.get("completions"))
    kept = [one for one in done if not one.get("was_cancelled") and not one.get("skipped")]
    values: dict[str, Any] = {str(name): cell for name, cell in task["data"].items()}
    results = [mark for one in kept[:1] for mark in _objects(one.get("result"))]
    marked = [(mark, answer) for mark in results if (answer := _marked(mark))]
    for mark, answer in marked:
        name = str(mark.get("from_name") or mark.get("type") or "label")
        name = name if name not in task["data"] else f"{name} (marked)"
        values[name] = f"{values[name]}, {answer}" if name in values else answer
    if marked:
        texts = [mark for mark, _ in marked if mark.get("type") == "textarea"]
        only = str((texts or [marked[0][0]])[0].get("from_name") or "")
        role = "answer" if texts else "label"
        if only in values and not is_known(only):
            values[role] = values.pop(only)
        if texts and len(task["data"]) == 1:
            values = {"prompt": values.pop(next(iter(values))), **values}
        return number, values, ""
    if results:
        return number, None, "People marked places in it, and gave no choice or words to learn."
    return number, None, "Nobody has marked it." if not done else "Whoever looked at it passed it over."


def _marked(mark: Object) -> str:
    value = mark.get("value")
    if not isinstance(value, Mapping):
        return ""
    for name in ("choices", "text", "rating", "taxonomy", "number"):
        held = value.get(name)
        if name == "text" and mark.get("type") not in ("textarea", None):
            continue  # of a place that was marked: the words that stand there
        if isinstance(held, list) and held:
            flat = [part[-1] if isinstance(part, list) and part else part for part in held]
            return ("\n" if name == "text" else ", ").join(map(str, flat))
        if held not in (None, "", []) and not isinstance(held, list | Mapping):
            return str(held)
    return ""


def _intents(whole: Any) -> Iterator[Found] | None:
    """Intents of a chatbot: ways to ask, and what is answered to all of them."""
    intents = whole.get("intents") if isinstance(whole, Mapping) else None
    if not isinstance(intents, list) or not intents or not all(isinstance(one, Mapping) and "patterns" in one for one in intents):
        return None
    return _asked(intents)


def _asked(intents: Sequence[Object]) -> Iterator[Found]:
    number = 0
    for intent in intents:
        asked, told = _texts(intent["patterns"]), _texts(intent.get("responses"))
        for place, pattern in enumerate(asked or [""]):
            number += 1
            values = {"question": pattern, "answer": told[place % len(told)] if told else "", "intent": intent.get("tag", "")}
            reason = "" if asked and told else f"The intent “{intent.get('tag', number)}” has no {'answers' if asked else 'questions'}."
            yield number, values, reason


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


# ---- notebooks ---------------------------------------------------------------------------------------------------------------


def _notebook(whole: Any) -> list[Found] | None:
    """Cells of a Jupyter notebook, each with its text; what they printed stays beside it (nbformat 3 and 4)."""
    if not isinstance(whole, Mapping) or "nbformat" not in whole:
        return None
    sheets = whole.get("worksheets")
    cells = sheets[0].get("cells") if isinstance(sheets, list) and sheets and isinstance(sheets[0], Mapping) else whole.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) and "cell_type" in cell for cell in cells):
        return None
    return [_cell(number, cell) for number, cell in enumerate(cells, 1)]


def _cell(number: int, cell: Object) -> Found:
    source = cell.get("source", cell.get("input", ""))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    beside = {name: cell[name] for name in ("cell_type", "outputs") if cell.get(name)}
    return number, {"text": text, **beside}, "" if text.strip() else "The cell is empty."


# ---- chats, and lists under a name ---------------------------------------------------------------------------------------------


def _chat(whole: Any) -> Iterator[Found] | None:
    found = chats.of_document(whole)
    return None if found is None else _stretches(found)


def _stretches(found: Sequence[chats.Chat]) -> Iterator[Found]:
    for chat in found:
        yield from chat.rows()


def _listed(whole: Any) -> list[Found] | None:
    """Lists of objects under names: the longest with those that have the same fields; columns side by side."""
    if not isinstance(whole, Mapping) or any(key(str(name)) in _NOT_ROWS for name in whole) or _is_talk(whole):
        return None
    lists = {str(name): value for name, value in whole.items() if isinstance(value, list) and value}
    if len(lists) == len(whole) > 1 and all(_is_talk(value) for value in lists.values()):
        return _numbered([{"messages": value} for value in lists.values()])
    objects = {name: value for name, value in lists.items() if all(isinstance(item, Mapping) for item in value)}
    if objects:
        longest = max(objects.values(), key=len)
        fields = {key(str(name)) for item in longest[:50] for name in item}
        rows: list[Any] = []
        lost: list[str] = []
        for name, items in objects.items():
            alike = items is longest or not fields.isdisjoint(key(str(name)) for item in items[:50] for name in item)
            rows += items if alike else []
            lost += [] if alike else [f"It stands in the list “{name}”, which is of another kind."] * len(items)
        return [*_numbered(rows), *((len(rows) + at, None, reason) for at, reason in enumerate(lost, 1))]
    inner = [value for value in whole.values() if isinstance(value, Mapping)]
    if not lists and len(inner) == 1 and (below := rows_of(inner[0])) is not None:
        return below  # {"status": "ok", "result": {"items": [...]}}
    if len(lists) == len(whole) > 0 and len({len(value) for value in lists.values()}) == 1 and (len(lists) > 1 or _is_column(lists)):
        return _numbered([dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)])
    return None


def _is_talk(value: Any) -> bool:
    """Whether it is one conversation, whose turns say who speaks."""
    return all(turn.name for turn in turns_of(value) or [Turn("other", "")])


def _cells(whole: Any) -> list[Found] | None:
    """Lists of cells, the first with the names of the columns or not; many texts under texts, as questions and answers often are."""
    if isinstance(whole, Mapping) and len(whole) >= _MANY and all(isinstance(cell, str) and cell for cell in whole.values()):
        whole = [[str(name), cell] for name, cell in whole.items()]
    width = len(whole[0]) if isinstance(whole, list) and len(whole) > 1 and isinstance(whole[0], list) else 0
    if width < 2 or not all(isinstance(row, list) and len(row) == width and _is_flat(row) for row in whole) or turns_of(whole[0]):
        return None
    headed = has_header(whole[:200])
    names = [str(name) for name in whole[0]] if headed else [f"column {place}" for place in range(1, width + 1)]
    return [(number, dict(zip(names, row, strict=True)), "") for number, row in enumerate(whole, 1) if number > headed]


def _is_flat(row: Sequence[Any]) -> bool:
    return not any(isinstance(cell, list | Mapping) for cell in row) and any(isinstance(cell, str) for cell in row)


def _is_column(lists: Mapping[str, Sequence[Any]]) -> bool:
    return all(not isinstance(parsed(cell), list) for cells in lists.values() for cell in cells[:5])


_LAYOUTS: tuple[Callable[[Any], Sequence[Found] | Iterator[Found] | None], ...] = (
    *(
        _notebook,
        _cells,
        _pandas_split,
        _pandas_table,
        _hub_rows,
        _squad,
        _chat,
        _label_studio,
        _intents,
        _splits,
        _pandas_crossed,
        _listed,
    ),
)
