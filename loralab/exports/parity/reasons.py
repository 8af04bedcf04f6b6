"""Owns why an export probably differs, from the numbers of the checks that failed.

Invariant: a guess is worded as one; no number, no guess.
"""

from __future__ import annotations

from typing import Any

TODO = "Do not use this file. Export it again; if it stays so, take the adapter or the merged model, and send parity.json with your report."
SMALL = 1e-2  # of a logit: no difference worth a reason
EXPLAINED = 0.5  # of the adapter's effect may be left over for a wrong strength to be the likeliest reason
SHARE = (0.85, 1.15)  # strengths of an adapter that are no news
GONE = 0.1  # a strength this small is none


def reason(red: dict[str, dict[str, Any]]) -> str:
    """`red`: the numbers of each failed check by its name. Returns one sentence."""
    if "loads" in red or ("answers" in red and not red["answers"]):
        return "the file is cut short or damaged, or this version of the program does not know it."
    found = [_tokens(red), _stops(red), _numbers(red)]
    return " ".join(filter(None, found))


def _tokens(red: dict[str, dict[str, Any]]) -> str:
    if "texts" in red:
        return "the tokenizer in it is another one."
    chats = red.get("template")
    if chats is None:
        return ""
    differing = chats["chats"] - chats["chats_equal"]
    if chats["chats_with_one_more_first"] == differing:
        return "a beginning-of-text is put in front of the one that the template writes itself."
    return "the chat template in it, or a special token the template names, is not the one it was trained with."


def _stops(red: dict[str, dict[str, Any]]) -> str:
    return "the token that ends an answer is not marked as one, so answers run on." if "stops" in red else ""


def _numbers(red: dict[str, dict[str, Any]]) -> str:
    found = red.get("logits")
    if found is None:
        return "the rounding of this type is too coarse for this model." if set(red) & {"loss", "answers"} else ""
    share, left = found.get("adapter_share"), found.get("adapter_unexplained")
    if share is not None and left is not None and left < EXPLAINED and not SHARE[0] <= share <= SHARE[1]:
        strength = "is missing from it" if abs(share) < GONE else f"works in it at about {share:.0%} of its strength"
        return f"what was learned {strength} (alpha, rank or the merge)."
    if found["first_logit_difference"] < SMALL:
        return "the first token agrees and later ones do not: positions (rope) or the order of attention's rows are written wrongly."
    return "a tensor is missing, scrambled or of another base model."
