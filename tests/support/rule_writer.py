"""A small real endpoint that speaks as OpenAI’s does and answers by a rule: what a person's own language model is, without its weights.

It knows what the town's documents say (tests/support/corpus.py); every `wrong`-th answer is one that a gate has to stop.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

WRONG = ("I'm sorry, but I can't help with that.", "", "As an AI language model, I cannot say.", "Write to jo.keller@mailbox.org.")


@dataclass
class RuleWriter:
    """What it was asked, and how it answers."""

    prompts: list[str] = field(default_factory=list)
    wrong: int = 0  # every so many answers; 0: none
    broken: int = 0  # answers code 500 so many times
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, prompt: str) -> str:  # noqa: PLR0911 - one for each thing that is asked
        self.prompts.append(prompt)
        number = len(self.prompts)
        if self.wrong and number % self.wrong == 0:
            return WRONG[number // self.wrong % len(WRONG)]
        if prompt.endswith("In other words:"):
            return f"Could you tell me this: {prompt.splitlines()[-3].rstrip('?').lower()}?"
        if prompt.endswith(("New question:", "Harder question:")):
            return f"Question: What colour has the door of house number {number}?"
        if prompt.endswith("Sentence:") or (prompt.startswith("Text:") and prompt.endswith("Answer:")):
            return re.split(r"(?<=[.!?])\s", prompt.split("\n\n", maxsplit=1)[0].removeprefix("Text:\n"))[0]
        if prompt.startswith("Text:"):
            return f"What is said about {' '.join(prompt.split()[1:5]).rstrip('.')}?"
        if prompt.endswith("-"):
            return f"Please look into my order {number}, it has not come."
        return f"The door of house number {number - 1} is green."


@contextlib.contextmanager
def rule_writer(wrong: int = 0, broken: int = 0) -> Iterator[RuleWriter]:
    """The endpoint, up on a free port of this computer."""
    writer = RuleWriter(wrong=wrong, broken=broken)

    async def chat(request: Request) -> JSONResponse:
        asked = await request.json()
        if writer.broken:
            writer.broken -= 1
            return JSONResponse({"error": {"message": "overloaded"}}, 500)
        if asked["model"] != "rule":
            return JSONResponse({"error": {"message": f"there is no model {asked['model']}"}}, 404)
        said = writer.answer(asked["messages"][-1]["content"])
        return JSONResponse({"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        writer.port = listener.getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])]), log_level="error", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield writer
        finally:
            server.should_exit = True
            thread.join(10)
