"""Ask a running server what prompts.json knows the answers to: does it answer as what was trained?

    python3 check.py --url http://127.0.0.1:8000          the key, where it wants one, in VLLM_API_KEY

Standard library only, Python 3.8 or newer. Exit code 0: every answer is the same; 1: some differ; 2: the server could not be asked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 300


def ask(url: str, model: str, prompt: dict[str, Any], key: str) -> str:
    """The server's likeliest answer."""
    body = {"model": model, "messages": prompt["messages"], "temperature": 0, "max_tokens": prompt["max_tokens"]}
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/chat/completions", json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310  (the address is the person's own)
        return str(json.load(reply)["choices"][0]["message"]["content"])


def agreed(expected: str, said: str) -> float:
    """Share of the expected words that come first, and the same, in what was said."""
    wanted, got = expected.split(), said.split()
    same = next((at for at, (one, other) in enumerate(zip(wanted, got)) if one != other), min(len(wanted), len(got)))  # noqa: B905  (3.8)
    return same / len(wanted) if wanted else float(not got)


def check(url: str, known: dict[str, list[dict[str, Any]]], key: str) -> tuple[int, int, list[str]]:
    """(answers that are the same, answers asked for, a line for each)."""
    same, asked, lines = 0, 0, []
    for model, prompts in known.items():
        for prompt in prompts:
            said = ask(url, model, prompt, key)
            alike = said.strip() == prompt["answer"].strip()
            same, asked = same + alike, asked + 1
            lines.append(f"{'same' if alike else 'DIFFERS'}  {model}  {prompt['messages'][-1]['content'][:60]!r}")
            if not alike:
                share = agreed(prompt["answer"], said)
                lines.append(
                    f"         expected {prompt['answer'][:80]!r}\n         said     {said[:80]!r} (the first {share:.0%} are the same)"
                )
    return same, asked, lines


def main(arguments: list[str]) -> int:
    """Ask, tell, and say by the exit code what came of it."""
    parser = argparse.ArgumentParser(description="Does a server answer as what was trained?")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--prompts", type=Path, default=Path(__file__).with_name("prompts.json"))
    given = parser.parse_args(arguments)
    known = json.loads(given.prompts.read_text("utf-8"))
    try:
        same, asked, lines = check(given.url, known, os.environ.get("VLLM_API_KEY", ""))
    except urllib.error.HTTPError as error:
        why = {401: "it wants a key (VLLM_API_KEY)", 404: "it has no model of this id"}.get(error.code, f"it answered {error.code}")
        sys.stdout.write(f"The server at {given.url} could not be asked: {why}.\n")
        return 2
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.stdout.write(f"The server at {given.url} could not be asked: {error}.\n")
        return 2
    sys.stdout.write("\n".join([*lines, f"The same answer: {same} of {asked}."]) + "\n")
    return 0 if same == asked else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
