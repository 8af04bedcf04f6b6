"""Owns what column names mean: the words people use for each role, most telling first. Pure data and one look-up."""

from __future__ import annotations

ROLES = ("system", "prompt", "input", "reasoning", "answer", "label", "messages", "text")

WORDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns"),
    "system": ("system", "system_prompt", "system_message", "persona"),
    "prompt": (
        *("instruction", "instructions", "prompt", "question", "questions", "query", "user", "human", "request", "problem"),
        *("user_message", "task", "q", "ask", "inquiry", "frage", "pregunta", "domanda", "問題", "问题", "提問", "指令", "質問"),
    ),
    "input": ("input", "context", "passage", "background", "source_text"),
    "reasoning": (
        *("reasoning", "complex_cot", "cot", "chain_of_thought", "thinking", "thought", "thoughts"),
        *("rationale", "reasoning_content"),
    ),
    "answer": (
        *("output", "completion", "answer", "answers", "response", "responses", "reply", "assistant", "target", "solution"),
        *("bot", "gpt", "assistant_message", "final_answer", "docstring", "a", "antwort", "respuesta", "réponse", "reponse"),
        *("risposta", "答案", "回答", "輸出"),
    ),
    "label": (
        *("label", "labels", "class", "category", "categories", "intent", "sentiment", "topic", "tag", "emotion"),
        *("類別", "标签", "標籤"),
    ),
    "text": (
        *("text", "sentence", "content", "message", "body", "document", "article", "review", "tweet", "comment", "poem"),
        *("文本", "內容", "内容"),
    ),
}
CODE = ("code", "function", "func", "snippet", "source", "whole_func_string", "func_code_string", "original_string", "body")
WEAK_PROMPT = ("title", "name", "subject", "headline", "term", "word", "topic", "key", "heading", "header")
WEAK_ANSWER = (
    *("poem", "description", "summary", "definition", "explanation", "body", "story", "lyrics", "meaning", "value", "text", "content"),
)
OTHER = (
    *("id", "idx", "index", "url", "link", "date", "author", "license", "licence", "lang", "language", "source", "split", "score"),
    *("type", "index_level_0"),
)


def key(name: str) -> str:
    """A column name as it is compared: small letters and digits only, so that “Complex_CoT” and “complexCot” are one."""
    return "".join(char for char in name.casefold() if char.isalnum())


_EVERY = frozenset(key(word) for words in (*WORDS.values(), CODE, WEAK_PROMPT, WEAK_ANSWER, OTHER) for word in words)
_OTHER = frozenset(map(key, OTHER))


def is_known(name: str) -> bool:
    """Whether a cell reads like the name of a column."""
    return key(name) in _EVERY


def is_about(name: str) -> bool:
    """Whether a column by its name tells about the row (number, link, licence) and holds nothing to learn."""
    return key(name) in _OTHER


def find(words: tuple[str, ...], columns: tuple[str, ...], taken: tuple[str, ...] = ()) -> str:
    """The column with the most telling of these names, or ""."""
    by_key = {key(column): column for column in reversed(columns) if column not in taken}
    return next((by_key[key(word)] for word in words if key(word) in by_key), "")
