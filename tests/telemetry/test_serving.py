"""What is told of answers given to others: counted by the sharing server, read by the page for Prometheus."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from loralab.core import served
from loralab.core.errors import RunFailed
from loralab.serve.asking import Ending
from loralab.sharing.server.counting import Counts
from loralab.sharing.server.limits import Turns
from loralab.telemetry import metrics


async def pieces(*told):
    for one in told:
        if isinstance(one, Exception):
            raise one
        yield one


def asked(counts: Counts, *told, model: str = "poet", operation: str = "chat", refused: int = 0) -> None:
    """A question from its beginning to its end."""
    question = counts.begin(model, operation)

    async def scene() -> None:
        try:
            async for _ in question.watched(pieces(*told)):
                pass
        except RunFailed:
            pass

    asyncio.run(scene())
    if refused:
        question.refused(refused)
    question.end()


def answered(home: Path) -> Counts:
    """Two answers and a refusal, written down."""
    counts = Counts(home, Turns(2, 8))
    for _ in range(2):
        asked(counts, "It ", "is.", Ending(reason="stop", prompt_tokens=9, tokens=3))
    asked(counts, refused=429)
    counts.keep()
    return counts


def numbers(home: Path) -> dict[str, float]:
    page = metrics.page(home)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in page.splitlines() if line and line[0] != "#"}


def of(name: str, error: str = "", model: str = "poet", operation: str = "chat", more: str = "") -> str:
    found = f'{{error_type="{error}",gen_ai_operation_name="{operation}",gen_ai_request_model="{model}"{more}}}'
    return f"{name}{found}"


def test_questions_seconds_tokens_and_refusals_stand_on_the_page(home: Path) -> None:
    answered(home)
    found = numbers(home)
    count = "gen_ai_server_request_duration_seconds_count"
    assert found[of(count)] == 2
    assert found[of(count, "429")] == 1
    assert found[of("gen_ai_server_time_to_first_token_seconds_count")] == 2
    assert found[of("gen_ai_server_time_per_output_token_seconds_count")] == 2
    assert of("gen_ai_server_time_to_first_token_seconds_count", "429") not in found, "nothing was said to whom was refused"
    assert found[of("gen_ai_client_token_usage_sum", more=',gen_ai_token_type="input"')] == 18
    assert found[of("gen_ai_client_token_usage_sum", more=',gen_ai_token_type="output"')] == 6
    assert found["loralab_serving_up"] == 1
    assert found['loralab_serving_questions{state="waiting"}'] == 0


def test_who_leaves_and_what_breaks_off_is_counted_as_that(home: Path) -> None:
    counts = Counts(home, Turns(2, 8))
    asked(counts, "It ")  # no Ending: whoever asked went away
    asked(counts, "It ", RunFailed("gone", code="chat_gone"))
    assert {one.error for one in counts.told.asked} == {"499", "503"}


def test_a_server_that_starts_again_goes_on_counting(home: Path) -> None:
    answered(home)
    asked(again := Counts(home, Turns(2, 8)), "x", Ending(reason="stop", prompt_tokens=1, tokens=1))
    again.keep()
    assert numbers(home)[of("gen_ai_server_request_duration_seconds_count")] == 3


def test_however_many_names_are_asked_for_few_are_kept(home: Path) -> None:
    counts = Counts(home, Turns(2, 8))
    for number in range(200):
        asked(counts, "x", Ending(reason="stop", prompt_tokens=1, tokens=2), model=f"model-{number}")
    told = counts.told.asked
    assert len({one.model for one in told}) == served.MOST + 1
    assert sum(sum(one.duration.counts) for one in told) == 200, "none is lost"
    counts.keep()
    assert metrics.page(home).count("\n") < 4000


def test_a_server_that_is_gone_has_nobody_waiting_and_nonsense_is_not_read(home: Path) -> None:
    note = home / "sharing" / served.NOTE
    counts = answered(home)
    note.write_text(counts.told.model_copy(update={"time": 1.0, "waiting": 5}).model_dump_json(), "utf-8")
    found = numbers(home)
    assert (found["loralab_serving_up"], found['loralab_serving_questions{state="waiting"}']) == (0, 0)
    for nonsense in ('{"asked": 3}', "[", '{"asked": [{"model": "x", "operation": "chat", "duration": {"counts": [1, 2]}}]}'):
        note.write_text(nonsense, "utf-8")
        assert of("gen_ai_server_request_duration_seconds_count", model="x") not in numbers(home)


def test_nothing_is_written_while_nothing_happens(home: Path) -> None:
    counts = answered(home)
    note = home / "sharing" / served.NOTE
    before = note.stat().st_mtime_ns
    counts.keep()
    assert note.stat().st_mtime_ns == before
    asked(counts, "x", Ending(reason="stop", prompt_tokens=1, tokens=1))
    counts.keep()
    assert note.stat().st_mtime_ns > before


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not on this computer")
def test_prometheus_own_checker_finds_nothing_to_say_of_it(home: Path) -> None:
    answered(home)
    found = subprocess.run(["promtool", "check", "metrics"], input=metrics.page(home), text=True, capture_output=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
