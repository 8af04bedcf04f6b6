"""Owns why an export probably differs, from the numbers of the checks that failed.

Invariant: a guess is worded as one; no number, no guess.
"""

from __future__ import annotations

from typing import Any

TODO = "Do not use this file. Export it again; if it stays so, take the adapter or the merged model, and send parity.json with your report."
SMALL = 1e-2  # of a logit: no difference worth a reason
SHARE = (0.97, 1.03)  # strengths of an adapter that are no news
FAR = 0.6  # of their own size: weights so far from the base's are others
MOST = 3.0  # a strength beyond this is none, but other numbers
GONE = 0.1  # a strength this small is none


def reason(red: dict[str, dict[str, Any]]) -> str:
    """`red`: the numbers of each failed check by its name. Returns one sentence."""
    if "loads" in red or ("answers" in red and not red["answers"]):
        return "the file is cut short or damaged, or this version of the program does not know it."
    found = [_adapter(red), _weights(red), _settings(red), _tokens(red), _stops(red), _numbers(red)]
    first, *others = [*filter(None, found), ""]
    return " ".join([first, *(other[0].upper() + other[1:] for other in others if other)])


def _adapter(red: dict[str, dict[str, Any]]) -> str:
    if "adapter" not in red:
        return ""
    return "the adapter finds no place in its base model, or was never trained: with it the model says what it says without it."


def _weights(red: dict[str, dict[str, Any]]) -> str:
    found = red.get("weights")
    if found is None:
        return ""
    share, wrong, all_of_them = found.get("adapter_in_file"), len(found.get("tensors_differ", ())), found.get("tensors", 0)
    if found.get("away_from_base", 0.0) > FAR:
        return "it was made of another base model."
    if share is not None and not SHARE[0] <= share <= SHARE[1] and abs(share) < MOST:
        strength = "is missing from it" if abs(share) < GONE else f"works in it at about {share:.0%} of its strength"
        return f"what was learned {strength} (alpha, rank or the merge)."
    if wrong > all_of_them / 2:
        return "it was made of another base model or another adapter."
    return "a tensor in it was lost, scrambled, renamed or packed wrongly."


def _settings(red: dict[str, dict[str, Any]]) -> str:
    return "what the file says about the model is not so, and programs compute by it." if "settings" in red else ""


def _tokens(red: dict[str, dict[str, Any]]) -> str:
    if "texts" in red:
        return "the tokenizer in it is another one."
    chats = red.get("template")
    if chats is None:
        return "a part of its tokenizer is not the one it was trained with." if "tokenizer" in red else ""
    differing = chats["chats"] - chats["chats_equal"]
    if chats["chats_with_one_more_first"] == differing:
        return "a beginning-of-text is put in front of the one that the template writes itself."
    return "the chat template in it, or a special token the template names, is not the one it was trained with."


def _stops(red: dict[str, dict[str, Any]]) -> str:
    return "the token that ends an answer is not marked as one, so answers run on." if "stops" in red else ""


def _numbers(red: dict[str, dict[str, Any]]) -> str:
    """The program does not compute what torch computes with the same numbers."""
    found = red.get("logits")
    if found is None:
        return "the rounding of this type is too coarse for this model." if "answers" in red else ""
    if set(red) & {"weights", "settings"}:
        return ""
    if found["first_logit_difference"] < SMALL:
        return "the first token agrees and later ones do not: positions (rope) or the order of attention's rows are written wrongly."
    return "the program reads the file in another way than it was meant: the order of rows, or a setting."
