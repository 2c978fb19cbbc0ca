"""A small Hugging Face Hub on this machine: datasets with revisions, access rules, uploads, and faults that a test plans.

It answers what the `huggingface_hub` and `datasets` clients ask for, with real commit ids, blob ids and error codes, so that tests
run the real clients against it.  ``log`` has every request; ``fail``, ``cut``, ``slow`` and ``swap`` plan what goes wrong.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web
from threaded import Threaded

LFS_ENDINGS = (".parquet", ".arrow", ".bin", ".gz", ".zst")


class Request(NamedTuple):
    method: str
    path: str
    range: str
    token: bool
    size: int
    status: int


@dataclass
class Fault:
    part: str
    method: str
    times: int
    status: int = 0
    retry_after: int | None = None
    cut: int = -1
    wait_s: float = 0.0


@dataclass
class Commit:
    id: str
    files: dict[str, bytes]
    message: str


@dataclass
class Repo:
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    head: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, files: dict[str, bytes], message: str) -> Commit:
        told = json.dumps([self.head, message, sorted((p, blob_id(c)) for p, c in files.items())])
        commit = Commit(hashlib.sha1(told.encode()).hexdigest(), files, message)  # noqa: S324
        self.commits[commit.id], self.head = commit, commit.id
        return commit

    def at(self, revision: str) -> Commit | None:
        named = {"main": self.head, "refs/heads/main": self.head} | self.tags
        return self.commits.get(named.get(revision, revision))


@lru_cache(256)
def blob_id(content: bytes) -> str:
    """The id that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


@lru_cache(256)
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refusal(status: int, code: str = "", message: str = "") -> web.Response:
    headers = {name: value for name, value in (("X-Error-Code", code), ("X-Error-Message", message)) if value}
    return web.json_response({"error": message or code}, status=status, headers=headers)


class Hub(Threaded):
    """``tokens`` maps each token to its user; ``chunk`` makes uploads above so many bytes come in parts."""

    def __init__(self, tokens: dict[str, str] | None = None, chunk: int = 0, page: int = 1000) -> None:
        self.tokens, self.chunk, self.page = tokens or {}, chunk, page
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.faults: list[Fault] = []
        self.log: list[Request] = []

    # ------------------------------------------------------------------------------------------ what a test says

    @property
    def endpoint(self) -> str:
        return self.url.removesuffix("/v1")

    def put(self, repo: str, files: dict[str, bytes | str], message: str = "files", **rules: object) -> str:
        """Commit files to a set, which is made when it is not there, and return the commit's id."""
        mine = self.repos.setdefault(repo, Repo())
        for name, value in rules.items():
            setattr(mine, name, value)
        before = mine.commits[mine.head].files if mine.head else {}
        given = {path: c.encode() if isinstance(c, str) else c for path, c in files.items()}
        return mine.add({**before, **given}, message).id

    def swap(self, repo: str, path: str, content: bytes) -> None:
        """Give a file other bytes under the commit that it has."""
        mine = self.repos[repo]
        mine.commits[mine.head].files[path] = content

    def fail(self, part: str, status: int = 503, times: int = 1, method: str = "", retry_after: int | None = None) -> None:
        self.faults.append(Fault(part, method, times, status, retry_after))

    def cut(self, part: str, after: int, times: int = 1) -> None:
        """Break the connection after so many bytes of a body."""
        self.faults.append(Fault(part, "GET", times, cut=after))

    def slow(self, part: str, wait_s: float, times: int = 1, method: str = "") -> None:
        self.faults.append(Fault(part, method, times, wait_s=wait_s))

    def asked(self, part: str, method: str = "GET") -> list[Request]:
        return [r for r in self.log if part in r.path and r.method == method]

    # ------------------------------------------------------------------------------------------ the server

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{any:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self._fault(request)
        if fault and fault.wait_s:
            await asyncio.sleep(fault.wait_s)
        if fault and fault.status:
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            answer: web.StreamResponse = web.json_response({"error": "planned"}, status=fault.status, headers=headers)
        else:
            answer = self._route(request, body)
        token = "Authorization" in request.headers
        self.log.append(Request(request.method, request.path, request.headers.get("Range", ""), token, len(body), answer.status))
        if fault and fault.cut >= 0 and isinstance(answer, web.Response):
            return await self._break(request, answer, fault.cut)
        return answer

    async def _break(self, request: web.Request, answer: web.Response, after: int) -> web.StreamResponse:
        content = answer.body if isinstance(answer.body, bytes) else b""
        partial = web.StreamResponse(status=answer.status, headers={**answer.headers, "Content-Length": str(len(content))})
        await partial.prepare(request)
        await partial.write(content[:after])
        await asyncio.sleep(0.05)
        if request.transport:
            request.transport.close()
        return partial

    def _fault(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.part in request.path and fault.method in ("", request.method):
                fault.times -= 1
                return fault
        return None

    def _user(self, request: web.Request) -> str | None:
        """The user of the token; empty without one, ``None`` for a wrong one."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.tokens.get(given) if given else ""

    def _route(self, request: web.Request, body: bytes) -> web.Response:
        parts = [unquote(p) for p in request.rel_url.raw_path.strip("/").split("/")]
        user = self._user(request)
        if user is None:
            return refusal(401, message="Invalid credentials in Authorization header")
        match parts:
            case ["api", "repos", "create"]:
                return self._create(json.loads(body), user)
            case ["api", "whoami-v2"]:
                return web.json_response({"name": user, "type": "user", "orgs": []}) if user else refusal(401)
            case ["api", "validate-yaml"]:
                return web.json_response({"errors": [], "warnings": []})
            case ["api", "datasets"]:
                wanted = request.query.get("search", "").lower()
                return web.json_response([self._info(n, "") for n, r in self.repos.items() if wanted in n.lower() and not r.private])
            case ["lfs", "complete", oid]:
                return self._joined(oid, json.loads(body))
            case ["lfs", oid, *number]:
                return self._stored(oid, int(number[0]) if number else 0, body)
            case ["datasets", owner, name, "info", "lfs", "objects", "batch"] if user:
                return self._batch(f"{owner}/{name.removesuffix('.git')}", json.loads(body))
            case ["datasets", owner, name, "resolve", revision, *path]:
                return self._of(request, user, f"{owner}/{name}", lambda repo: self._file(request, user, repo, revision, "/".join(path)))
            case ["api", "datasets", owner, name, *rest]:
                return self._of(request, user, f"{owner}/{name}", lambda repo: self._about(request, user, repo, rest, body))
        return refusal(404, message=f"nothing answers {request.method} {request.path}")

    def _of(self, request: web.Request, user: str, name: str, then: Callable[[str], web.Response]) -> web.Response:
        """Answer for a set, unless it has another name now or may not be seen."""
        if name in self.renamed:
            place = request.rel_url.raw_path_qs.replace(name, self.renamed[name], 1)
            return web.Response(status=307, headers={"Location": place, "X-Error-Message": "renamed"})
        repo = self.repos.get(name)
        if repo is None or (repo.private and user not in repo.readers | {name.split("/")[0]}):
            return refusal(404, "RepoNotFound", "Repository not found") if user else refusal(401, message="Invalid username or password.")
        return then(name)

    def _create(self, asked: dict[str, str], user: str) -> web.Response:
        name = f"{asked.get('organization') or user}/{asked['name']}"
        url = f"{self.endpoint}/datasets/{name}"
        if not user:
            return refusal(401, message="Invalid username or password.")
        if name in self.repos:
            return web.json_response({"error": "You already created this dataset repo", "url": url}, status=409)
        hidden = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.repos[name] = Repo(private=hidden, readers={user})
        self.repos[name].add({}, "initial commit")
        return web.json_response({"url": url, "name": name, "id": name})

    # ------------------------------------------------------------------------------------------ reading

    def _info(self, name: str, revision: str, blobs: bool = False) -> dict[str, object]:
        repo = self.repos[name]
        commit = repo.at(revision or "main")
        told = {"id": name, "_id": name, "author": name.split("/")[0], "sha": commit and commit.id, "private": repo.private}
        files = commit.files if commit else {}
        siblings = [{"rfilename": p} | ({"size": len(c), "blobId": blob_id(c)} if blobs else {}) for p, c in sorted(files.items())]
        days = {"createdAt": "2026-01-01T00:00:00.000Z", "lastModified": "2026-01-01T00:00:00.000Z"}
        about = {"gated": "auto" if repo.gated else False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        return told | days | about | {"siblings": siblings}

    def _about(self, request: web.Request, user: str, name: str, rest: list[str], body: bytes) -> web.Response:
        repo = self.repos[name]
        revision = rest[1] if len(rest) > 1 else "main"
        commit = repo.at(revision)
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        writing = rest and rest[0] in ("preupload", "commit", "tag", "settings")
        if writing and user not in repo.readers | {name.split("/")[0]}:
            return refusal(403, message="You don't have the rights to write here")
        match rest[:1]:
            case [] | ["revision"]:
                return web.json_response(self._info(name, revision, "blobs" in request.query))
            case ["tree"]:
                return self._tree(request, commit, "/".join(rest[2:]))
            case ["paths-info"]:
                asked = json.loads(body)["paths"] if body.startswith(b"{") else [unquote(v.replace("+", " ")) for v in _form(body, "paths")]
                return web.json_response([_entry(p, commit.files) for p in asked if _known(p, commit.files)])
            case ["refs"]:
                tags = [{"name": t, "ref": f"refs/tags/{t}", "targetCommit": c} for t, c in repo.tags.items()]
                main = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head}]
                return web.json_response({"branches": main, "tags": tags, "converts": [], "pullRequests": []})
            case ["preupload"]:
                asked = [f["path"] for f in json.loads(body)["files"]]
                modes = [(p, "lfs" if p.endswith(LFS_ENDINGS) else "regular") for p in asked]
                old = {p: blob_id(c) for p, c in commit.files.items()}
                files = [{"path": p, "uploadMode": m, "shouldIgnore": False, "oid": old.get(p)} for p, m in modes]
                return web.json_response({"files": files})
            case ["commit"]:
                return self._commit(name, commit, [json.loads(line) for line in body.splitlines() if line])
            case ["tag"]:
                tag = json.loads(body)["tag"]
                if tag in repo.tags:
                    return refusal(409, message=f"Tag reference exists already: {tag}")
                repo.tags[tag] = commit.id
                return web.json_response({})
        return refusal(404, message=f"nothing answers {request.path}")

    def _tree(self, request: web.Request, commit: Commit, under: str) -> web.Response:
        paths = sorted(p for p in commit.files if not under or p.startswith(under + "/"))
        folders = {"/".join(p.split("/")[:n]) for p in paths for n in range(1, p.count("/") + 1)}
        entries = sorted({*paths, *(f for f in folders if f.startswith(under + "/") or not under)})
        if request.query.get("recursive", "").lower() != "true":
            depth = under.count("/") + 1 if under else 0
            entries = [e for e in entries if e.count("/") == depth]
        if under and not entries:
            return refusal(404, "EntryNotFound", f"{under} does not exist")
        start = int(request.query.get("cursor", 0))
        page = [_entry(e, commit.files) for e in entries[start : start + self.page]]
        headers = {}
        if start + self.page < len(entries):
            following = request.rel_url.update_query(cursor=str(start + self.page))
            headers["Link"] = f'<{self.endpoint}{following.raw_path_qs}>; rel="next"'
        return web.json_response(page, headers=headers)

    def _file(self, request: web.Request, user: str, name: str, revision: str, path: str) -> web.Response:
        repo = self.repos[name]
        if repo.gated and user not in repo.readers | {name.split("/")[0]}:
            return refusal(403 if user else 401, "GatedRepo", f"Access to dataset {name} is restricted")
        commit = repo.at(revision)
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in commit.files:
            answer = refusal(404, "EntryNotFound", "Entry not found")
            answer.headers["X-Repo-Commit"] = commit.id
            return answer
        content = commit.files[path]
        mark = sha256(content) if path.endswith(LFS_ENDINGS) else blob_id(content)
        headers = {"ETag": f'"{mark}"', "X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(content))})
        if asked := request.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) if last else len(content), len(content) - 1)
            return web.Response(
                body=content[start : end + 1], status=206, headers={**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"}
            )
        return web.Response(body=content, headers=headers)

    # ------------------------------------------------------------------------------------------ writing

    def _batch(self, name: str, asked: dict[str, list[dict[str, object]]]) -> web.Response:
        objects = []
        for item in asked["objects"]:
            oid, size = str(item["oid"]), int(str(item["size"]))
            answer: dict[str, object] = {"oid": oid, "size": size, "authenticated": True}
            if oid not in self.blobs:
                answer["actions"] = {"upload": self._upload(oid, size)}
            objects.append(answer)
        return web.json_response({"transfer": "basic", "objects": objects}, content_type="application/vnd.git-lfs+json")

    def _upload(self, oid: str, size: int) -> dict[str, object]:
        if not self.chunk or size <= self.chunk:
            return {"href": f"{self.endpoint}/lfs/{oid}", "header": {}}
        urls = {str(n + 1): f"{self.endpoint}/lfs/{oid}/{n + 1}" for n in range(-(-size // self.chunk))}
        return {"href": f"{self.endpoint}/lfs/complete/{oid}", "header": {"chunk_size": str(self.chunk), **urls}}

    def _stored(self, oid: str, number: int, body: bytes) -> web.Response:
        if number:
            self.parts[oid, number] = body
        elif sha256(body) == oid:
            self.blobs[oid] = body
        else:
            return refusal(400, message="the bytes have another hash")
        return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})  # noqa: S324

    def _joined(self, oid: str, told: dict[str, list[dict[str, int]]]) -> web.Response:
        return self._stored(oid, 0, b"".join(self.parts[oid, p["partNumber"]] for p in told["parts"]))

    def _commit(self, name: str, base: Commit, lines: list[dict[str, dict[str, str]]]) -> web.Response:
        files, message = dict(base.files), ""
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    message = value["summary"]
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile" if value["oid"] in self.blobs:
                    files[value["path"]] = self.blobs[value["oid"]]
                case "deletedFile":
                    files.pop(value["path"], None)
                case "deletedFolder":
                    files = {p: c for p, c in files.items() if not p.startswith(value["path"].rstrip("/") + "/")}
                case other:
                    return refusal(400, message=f"cannot commit {other}")
        commit = self.repos[name].add(files, message)
        url = f"{self.endpoint}/datasets/{name}/commit/{commit.id}"
        return web.json_response({"success": True, "commitOid": commit.id, "commitUrl": url, "hookOutput": ""})


def _form(body: bytes, key: str) -> list[str]:
    return [v for k, _, v in (pair.partition("=") for pair in body.decode().split("&")) if k == key]


def _known(path: str, files: dict[str, bytes]) -> bool:
    return path in files or any(p.startswith(path + "/") for p in files)


def _entry(path: str, files: dict[str, bytes]) -> dict[str, object]:
    if path not in files:
        return {"type": "directory", "path": path, "oid": blob_id(path.encode()), "size": 0}
    content = files[path]
    entry: dict[str, object] = {"type": "file", "path": path, "oid": blob_id(content), "size": len(content)}
    if path.endswith(LFS_ENDINGS):
        entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
    return entry
