"""Owns the other half of the imitation of the Hub: accounts, repositories that are written to, versions, search, and all its refusals."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml

from tests.support.fake_hub import Answer, FakeHub, served

TOKEN = "hf_" + "a1B2c3D4e5" * 3 + "wxyz"
READER = "hf_" + "r1E2a3D4e5" * 3 + "wxyz"
LARGE = (".safetensors", ".gguf", ".onnx", ".bin")


def mode(name: str) -> str:
    return "lfs" if name.endswith(LARGE) else "regular"


def oid(name: str, raw: bytes) -> str:
    """The name of a content, as git or its large-file store has it."""
    return hashlib.sha256(raw).hexdigest() if mode(name) == "lfs" else hashlib.sha1(f"blob {len(raw)}\0".encode() + raw).hexdigest()


@dataclass
class Repo:
    """A repository: its files as they are now, and what it was before."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    private: bool = True
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.commits = [self.files] if self.files else self.commits

    @property
    def sha(self) -> str:
        return self.sha_of(len(self.commits) - 1)

    def sha_of(self, number: int) -> str:
        return hashlib.sha1(f"{number} {sorted(self.commits[number])}".encode()).hexdigest()

    def at(self, revision: str) -> dict[str, bytes]:
        names = {self.sha_of(n): files for n, files in enumerate(self.commits)}
        return names.get(self.tags.get(revision, revision), self.files)


@dataclass
class WritingHub(FakeHub):
    """What it holds, whom it knows, and how it misbehaves."""

    repos: dict[str, Repo] = field(default_factory=dict[str, Repo])
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])  # large files by their checksum
    trouble: dict[str, int | str] = field(default_factory=dict[str, "int | str"])  # step -> a status, or “cut”
    once: set[str] = field(default_factory=set[str])  # steps whose trouble passes after the first time
    put: list[str] = field(default_factory=list[str])  # checksums that were sent whole
    codes: list[str] = field(default_factory=list[str])  # what the sign-in answers, one after the other
    lies: bool = False  # lists files with another size
    retry_after: str = ""


class Writes(Answer):
    """Answers what the Hub's own library asks when something is published."""

    hub: WritingHub  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:  # noqa: N802  (the library's own name)
        self.write()

    def do_PUT(self) -> None:  # noqa: N802  (the library's own name)
        self.write()

    def do_DELETE(self) -> None:  # noqa: N802  (the library's own name)
        self.write()

    def fails(self, step: str) -> bool:
        """Whether this step goes wrong, and then it has."""
        how = self.hub.trouble.get(step)
        if how is None:
            return False
        if step in self.hub.once:
            del self.hub.trouble[step]
        if how == "cut":
            self.close_connection = True
            self.connection.close()
            return True
        self.send_response(int(how))
        if self.hub.retry_after:
            self.send_header("Retry-After", self.hub.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return raw
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def account(self) -> dict[str, Any] | None:
        return self.hub.tokens.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))

    # ---- reading ---------------------------------------------------------------------------------------------------------

    def answer(self, *, body: bool) -> None:
        path, _, query = self.path.partition("?")
        name = unquote(path.removeprefix("/api/models/"))
        repo_name, _, rest = name.partition("/revision/")
        refs = repo_name.removesuffix("/refs")
        if path == "/api/whoami-v2":
            self.hub.asked.append(("GET /api/whoami-v2", ""))
            if not self.fails("whoami"):
                self.send_json(self.account) if self.account else self.refuse(401, "")
        elif path == "/api/models":
            if not self.fails("search"):
                self.search({key: value[0] for key, value in parse_qs(query).items()})
        elif path.startswith("/api/models/") and refs in self.hub.repos:
            self.hub.asked.append((f"GET {path}", ""))
            if not self.fails("info") and self.visible(self.hub.repos[refs]):
                self.tell_refs(refs) if repo_name.endswith("/refs") else self.tell_repo(repo_name, rest)
        elif "/resolve/" in path and path[1:].partition("/resolve/")[0] in self.hub.repos:
            name, _, rest = path[1:].partition("/resolve/")
            revision, _, file = rest.partition("/")
            repo = self.hub.repos[name]
            if not self.fails("resolve") and self.visible(repo):
                files = repo.at(revision)
                self.send_file(files[unquote(file)], body=body) if unquote(file) in files else self.refuse(404, "EntryNotFound")
        else:
            super().answer(body=body)

    def visible(self, repo: Repo) -> bool:
        if repo.private and self.account is None:
            self.refuse(404, "RepoNotFound")
            return False
        return True

    def tell_repo(self, name: str, revision: str) -> None:
        repo = self.hub.repos[name]
        files = repo.at(revision) if revision else repo.files
        sizes = {one: len(raw) + (1 if self.hub.lies else 0) for one, raw in files.items()}
        self.send_json(
            self.about(name, repo, files) | {"siblings": [{"rfilename": n, "size": s, "blobId": "0" * 40} for n, s in sizes.items()]}
        )

    def about(self, name: str, repo: Repo, files: dict[str, bytes]) -> dict[str, Any]:
        card = files.get("README.md", b"").decode()
        front = yaml.safe_load(card.split("---")[1]) if card.startswith("---") else {}
        return {"id": name, "sha": repo.sha, "private": repo.private, "tags": front.get("tags", []), "cardData": front, "downloads": 7}

    def tell_refs(self, name: str) -> None:
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": sha} for tag, sha in self.hub.repos[name].tags.items()]
        self.send_json({"branches": [], "converts": [], "tags": tags})

    def search(self, asked: dict[str, str]) -> None:
        self.hub.asked.append((f"search {asked.get('filter', '')}", ""))
        found = []
        for name, repo in self.hub.repos.items():
            about = self.about(name, repo, repo.files)
            tags = {*about["tags"], f"base_model:adapter:{about['cardData'].get('base_model')}"}
            if not repo.private and set(filter(None, asked.get("filter", "").split(","))) <= tags:
                found.append(about)
        raw = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    # ---- writing ---------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.hub.asked.append((f"{self.command} {path}", ""))
        if path.startswith("/oauth/"):
            self.oauth(path, parse_qs(self.body().decode()))
            return
        if path.startswith("/lfs/"):
            self.take_object(path.removeprefix("/lfs/"))
            return
        raw = self.body()
        if path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif path == "/lfs-verify":
            self.send_json({})
        elif self.account is None:
            self.refuse(401, "")
        elif path == "/api/repos/create":
            self.create(json.loads(raw))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self.batch(json.loads(raw))
        elif path.startswith("/api/models/"):
            self.change(path.removeprefix("/api/models/"), raw)
        else:
            self.refuse(404, "")

    def create(self, asked: dict[str, Any]) -> None:
        if self.fails("create"):
            return
        owner = asked.get("organization") or (self.account or {})["name"]
        name = f"{owner}/{asked['name']}"
        if name in self.hub.repos:
            self.send_response(409)
            raw = json.dumps({"url": f"{self.hub.url}/{name}", "error": "You already created this model repo"}).encode()
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        elif owner != (self.account or {})["name"]:
            self.refuse(403, "")
        else:
            self.hub.repos[name] = Repo(private=asked.get("visibility") == "private" or bool(asked.get("private")))
            self.send_json({"url": f"{self.hub.url}/{name}", "name": name, "id": "1"})

    def batch(self, asked: dict[str, Any]) -> None:
        if self.fails("batch"):
            return
        found: list[dict[str, Any]] = []
        for one in asked["objects"]:
            known = one["oid"] in self.hub.objects
            there = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}, "verify": {"href": f"{self.hub.url}/lfs-verify"}}
            found.append(one | ({} if known else {"actions": there}))
        self.send_json({"transfer": "basic", "objects": found})

    def take_object(self, oid: str) -> None:
        if self.hub.trouble.get("put") == "half":
            self.rfile.read(min(70_000, int(self.headers.get("Content-Length") or 0)))
            self.hub.trouble["put"] = "cut"
        raw = b"" if self.hub.trouble.get("put") == "cut" else self.body()
        if self.fails("put"):
            return
        if hashlib.sha256(raw).hexdigest() != oid:
            self.refuse(400, "")
            return
        self.hub.objects[oid] = raw
        self.hub.put.append(oid)
        self.send_json({})

    def change(self, path: str, raw: bytes) -> None:
        name = "/".join(path.split("/")[:2])
        what = path.removeprefix(name).strip("/")
        repo = self.hub.repos.get(name)
        if repo is None or name.partition("/")[0] != (self.account or {})["name"]:
            self.refuse(404 if repo is None else 403, "RepoNotFound" if repo is None else "")
        elif what.startswith("preupload/"):
            if not self.fails("preupload"):
                files = [one["path"] for one in json.loads(raw)["files"]]
                modes = [
                    {"path": n, "uploadMode": mode(n), "shouldIgnore": False, "oid": oid(n, repo.files[n]) if n in repo.files else None}
                    for n in files
                ]
                self.send_json({"files": modes})
        elif what.startswith("commit/"):
            if not self.fails("commit"):
                self.commit(name, repo, [json.loads(line) for line in raw.splitlines() if line])
        elif what.startswith("tag/"):
            if not self.fails("tag"):
                repo.tags[json.loads(raw)["tag"]] = what.removeprefix("tag/")
                self.send_json({})
        elif what == "settings":
            if not self.fails("settings"):
                asked = json.loads(raw)
                repo.private = asked.get("visibility", "private" if asked.get("private") else "public") == "private"
                self.send_json({})
        else:
            self.refuse(404, "")

    def commit(self, name: str, repo: Repo, lines: list[dict[str, Any]]) -> None:
        parent = lines[0]["value"].get("parentCommit")
        if parent and parent != repo.sha:
            self.refuse(412, "")
            return
        files = dict(repo.files)
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case _:
                    files.pop(value["path"], None)
        repo.files = files
        repo.commits.append(files)
        self.send_json(
            {"success": True, "commitOid": repo.sha, "commitUrl": f"{self.hub.url}/{name}/commit/{repo.sha}", "pullRequestUrl": None}
        )

    def oauth(self, path: str, asked: dict[str, list[str]]) -> None:
        if self.fails("oauth"):
            return
        if path == "/oauth/device":
            page = f"{self.hub.url}/device"
            self.send_json({"device_code": "d", "user_code": "ABCD-1234", "verification_uri": page, "interval": 0.01, "expires_in": 900})
            return
        said = self.hub.codes.pop(0) if self.hub.codes else "authorization_pending"
        if asked.get("grant_type") == ["refresh_token"] or said.startswith("hf_"):
            token = said if said.startswith("hf_") else TOKEN
            self.send_json({"access_token": token, "refresh_token": "again", "expires_in": 28800})
        else:
            raw = json.dumps({"error": said}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)


@contextmanager
def writing_hub() -> Iterator[WritingHub]:
    """A hub with two accounts, one of which may only read."""
    hub = WritingHub({})
    for token, role in ((TOKEN, "write"), (READER, "read")):
        hub.tokens[token] = {"type": "user", "name": "ann", "orgs": [], "auth": {"accessToken": {"role": role}}}
    with served(hub, Writes) as found:
        yield found
