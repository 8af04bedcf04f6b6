"""The folder for vLLM holds what is needed under the ids of here, refuses what vLLM cannot serve; its checker tells right from wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from loralab.core.errors import UserError
from loralab.sharing.deployment import SETTINGS, WEIGHTS, Deployment, Versions, adapter_of
from loralab.sharing.vllm import check
from loralab.sharing.vllm.folder import Prompt, write

ONE, OTHER = "0123456789ab", "ba9876543210"
KNOWN = {ONE: [Prompt(messages=({"role": "user", "content": f"Question {n}?"},), answer=f"The answer is {n}.") for n in range(5)]}


def frozen(home: Path, name: str, *, base: str = "me/base", template: str = "{{ messages }}", **settings: Any) -> Deployment:
    """A deployment as it lies in a workspace."""
    adapter = adapter_of(home, name)
    adapter.mkdir(parents=True)
    (adapter / WEIGHTS).write_bytes(b"weights of " + name.encode())
    (adapter / SETTINGS).write_text(json.dumps({"r": 16, "peft_type": "LORA", **settings}), "utf-8")
    (adapter / "chat_template.jinja").write_text(template, "utf-8")
    (adapter.parents[1] / "plan.json").write_text(json.dumps({"precision": "bf16"}), "utf-8")
    return Deployment(id=name, run="run", title="Customer messages", base=base, model=str(home / "base"), versions=Versions(model=base))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "vllm"


def test_the_folder_holds_every_adapter_under_its_id(home: Path, place: Path) -> None:
    found = [frozen(home, ONE), frozen(home, OTHER, r=20)]
    write(home, found, KNOWN, place)
    settings = yaml.safe_load((place / "vllm.yaml").read_text("utf-8"))
    assert settings["lora-modules"] == [f"{ONE}=adapters/{ONE}", f"{OTHER}=adapters/{OTHER}"]
    assert (settings["enable-lora"], settings["max-lora-rank"], settings["dtype"]) == (True, 32, "bfloat16")
    assert (place / settings["chat-template"]).read_text("utf-8") == "{{ messages }}"
    assert (place / "adapters" / OTHER / WEIGHTS).read_bytes().endswith(OTHER.encode())
    assert [one["answer"] for one in json.loads((place / "prompts.json").read_text("utf-8"))[ONE]] == [p.answer for p in KNOWN[ONE]]
    assert str(home) not in "".join(path.read_text("utf-8", "replace") for path in place.rglob("*") if path.is_file())


def test_docker_and_kubernetes_start_the_same_configuration(home: Path, place: Path) -> None:
    write(home, [frozen(home, ONE)], {}, place)
    service = yaml.safe_load((place / "compose.yaml").read_text("utf-8"))["services"]["vllm"]
    parts = list(yaml.safe_load_all((place / "kubernetes.yaml").read_text("utf-8")))
    claim, deployment, address = parts
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert service["command"] == container["args"] == ["--config", "vllm.yaml"]
    assert service["image"] == container["image"]
    assert service["working_dir"] == container["workingDir"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    volume = deployment["spec"]["template"]["spec"]["volumes"][0]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert address["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "trained whole"),
        ({"peft_type": "MISS"}, "another kind"),
        ({"r": 600}, "rank of 600"),
    ],
)
def test_what_vllm_cannot_serve_is_refused_before_anything_is_written(home: Path, place: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        write(home, [frozen(home, ONE, **settings)], {}, place)
    assert said in caught.value.problem.what
    assert caught.value.problem.todo
    assert not place.exists()


@pytest.mark.parametrize(
    ("other", "said"), [({"base": "me/other"}, "different models"), ({"template": "{% if x %}{% endif %}"}, "spoken to in different ways")]
)
def test_one_server_has_one_base_and_one_template(home: Path, place: Path, other: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        write(home, [frozen(home, ONE), frozen(home, OTHER, **other)], {}, place)


def test_a_folder_with_something_in_it_is_left_alone(home: Path, place: Path) -> None:
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="has something in it"):
        write(home, [frozen(home, ONE)], {}, place)
    assert [path.name for path in place.iterdir()] == ["mine.txt"]


# ---- the checker -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[str, str], str], str], str]]:
    """A server that speaks as vLLM does: `server(answer, key)` -> its address; `answer(model, question)`."""
    running: list[HTTPServer] = []

    def start(answer: Callable[[str, str], str], key: str = "") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                good = not key or self.headers.get("Authorization") == f"Bearer {key}"
                known = body["model"] == ONE
                code = 401 if not good else 404 if not known else 200
                said = {"choices": [{"message": {"content": answer(body["model"], body["messages"][-1]["content"])}}]}
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the library's own name)
                """Nobody reads it."""

        running.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.fixture
def prompts(home: Path, place: Path) -> Path:
    write(home, [frozen(home, ONE)], KNOWN, place)
    return place / "prompts.json"


def right(_model: str, question: str) -> str:
    return f"The answer is {question.split()[1].rstrip('?')}."


def test_the_checker_is_content_where_every_answer_is_the_same(server: Any, prompts: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "key")
    assert check.main(["--url", server(right, "key"), "--prompts", str(prompts)]) == 0
    assert "The same answer: 5 of 5." in capsys.readouterr().out


def test_the_checker_says_which_answer_is_another_and_from_where_on(server: Any, prompts: Path, capsys: Any) -> None:
    def wrong_once(model: str, question: str) -> str:
        return "The answer is green." if "3" in question else right(model, question)

    assert check.main(["--url", server(wrong_once), "--prompts", str(prompts)]) == 1
    said = capsys.readouterr().out
    assert "The same answer: 4 of 5." in said
    assert "the first 75% are the same" in said


def test_the_checker_says_why_it_could_not_ask(server: Any, prompts: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert check.main(["--url", server(right, "key"), "--prompts", str(prompts)]) == 2
    assert "wants a key" in capsys.readouterr().out
    assert check.main(["--url", "http://127.0.0.1:9", "--prompts", str(prompts)]) == 2
    prompts.write_text(prompts.read_text("utf-8").replace(ONE, OTHER))
    assert check.main(["--url", server(right), "--prompts", str(prompts)]) == 2
    assert "no model of this id" in capsys.readouterr().out
