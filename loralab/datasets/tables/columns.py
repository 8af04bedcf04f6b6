"""Owns what column names mean: the words people use for each role, most telling first. Pure data and one look-up."""

from __future__ import annotations

import re
from functools import lru_cache

ROLES = (
    *("system", "prompt", "input", "history", "reasoning", "answer", "label", "messages", "assistant", "text"),
    *("rejected", "wanted", "pictures", "tools"),
)
NAMES_A_PERSON = "assistant"  # the one role that is no column: who of those who speak is the one to learn from

WORDS: dict[str, tuple[str, ...]] = {
    "messages": (
        *("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "contents", "chat_messages", "dialogs"),
        *("dialogues", "utterances", "chats", "conv", "convs", "message_list", "chat_log", "thread"),
        *("对话", "對話", "聊天", "会话", "會話"),
    ),
    "history": (
        *("history", "chat_history", "conversation_history", "dialogue_history", "dialog_history", "past", "previous_turns"),
        *("历史", "歷史"),
    ),
    "system": ("system", "system_prompt", "system_message", "system_instruction", "persona"),
    "prompt": (
        *("instruction", "instructions", "prompt", "question", "questions", "query", "user", "human", "request", "problem"),
        *("user_message", "task", "q", "ask", "inquiry", "frage", "pregunta", "domanda", "問題", "问题", "提問", "指令", "質問"),
        *("问", "問", "提问", "вопрос", "питання", "pytanie", "otázka", "soru", "vraag", "fråga", "spørgsmål", "kysymys", "kérdés"),
        *("întrebare", "pergunta", "質問文", "질문", "câu hỏi", "प्रश्न", "سؤال", "السؤال", "שאלה", "pertanyaan", "ερώτηση"),
    ),
    "input": ("input", "context", "passage", "background", "source_text"),
    "reasoning": (
        *("reasoning", "complex_cot", "cot", "chain_of_thought", "thinking", "thought", "thoughts"),
        *("rationale", "reasoning_content"),
    ),
    "answer": (
        *("output", "completion", "answer", "answers", "response", "responses", "reply", "assistant", "target", "solution"),
        *("bot", "gpt", "assistant_message", "final_answer", "docstring", "a", "antwort", "respuesta", "réponse", "reponse"),
        *("risposta", "答案", "回答", "輸出", "答", "输出", "回复", "回覆", "ответ", "відповідь", "odpowiedź", "odpověď", "cevap", "yanıt"),
        *("antwoord", "svar", "vastaus", "válasz", "răspuns", "resposta", "답변", "대답", "trả lời", "câu trả lời", "उत्तर"),
        *("جواب", "الجواب", "إجابة", "תשובה", "jawaban", "απάντηση"),
    ),
    "tools": ("tools", "functions", "available_tools", "tool_definitions"),
    "label": (
        *("label", "labels", "class", "category", "categories", "intent", "sentiment", "topic", "tag", "emotion"),
        *("類別", "标签", "標籤"),
    ),
    "text": (
        *("text", "sentence", "content", "message", "body", "document", "article", "review", "tweet", "comment", "poem"),
        *("文本", "內容", "内容"),
    ),
}
QUESTIONS = (
    *("question", "questions", "q", "query", "inquiry", "frage", "pregunta", "domanda", "問題", "问题", "提問", "質問"),
    *("вопрос", "питання", "pytanie", "otázka", "soru", "vraag", "fråga", "pergunta", "질문", "câu hỏi", "प्रश्न", "سؤال"),
)
# Words within a longer name: “Problem description”, “What we replied”. They only suggest.
ASKING = (
    *("question", "problem", "request", "query", "issue", "inquiry", "enquiry", "complaint", "asked", "asks", "prompt", "instruction"),
    *("frage", "anfrage", "problem", "anliegen", "beschwerde", "pregunta", "consulta", "domanda", "demande"),
)
ANSWERING = (
    *("answer", "answered", "reply", "replied", "replies", "response", "responded", "resolution", "solution", "output", "completion"),
    *("antwort", "lösung", "respuesta", "risposta", "réponse", "reponse"),
)
SUMMARIES = ("summary", "summaries", "highlights", "abstract", "tldr", "tl_dr")  # of a text beside them
OPTIONS = ("choices", "options", "candidates", "alternatives")  # of which an answer names one
CODE = ("code", "function", "func", "snippet", "source", "whole_func_string", "func_code_string", "original_string", "body")
WEAK_PROMPT = ("title", "name", "subject", "headline", "term", "word", "topic", "key", "heading", "header")
WEAK_ANSWER = (
    *("poem", "description", "summary", "definition", "explanation", "body", "story", "lyrics", "meaning", "value", "text", "content"),
)
OTHER = (
    *("id", "idx", "index", "url", "link", "date", "author", "license", "licence", "lang", "language", "source", "split", "score"),
    *("type", "index_level_0", "unnamed_0", "conversation_id", "dialogue_id", "thread_id", "session_id", "uuid", "timestamp", "time"),
)


@lru_cache(maxsize=4096)  # asked for each field of each turn, and files have few names
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


def suggests(words: tuple[str, ...], name: str) -> bool:
    """Whether one of these words is in a longer name."""
    return not set(words).isdisjoint(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()))


def find(words: tuple[str, ...], columns: tuple[str, ...], taken: tuple[str, ...] = ()) -> str:
    """The column with the most telling of these names, or ""."""
    by_key = {key(column): column for column in reversed(columns) if column not in taken}
    return next((by_key[key(word)] for word in words if key(word) in by_key), "")
