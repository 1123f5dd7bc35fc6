"""A running Label Studio for tests: projects that clean up after themselves, people, and a small ML backend."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ml_backend.errors import NotFound
from ml_backend.label_config import Control, read_label_config
from ml_backend.labelstudio.accounts import Account, sign_up
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.doctor import Finding, each_check
from ml_backend.labelstudio.local_server import LocalLabelStudio, free_port

SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text" choice="single">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def run_checks(client: Client, project: str = "", **options: Any) -> list[Finding]:
    """What the doctor finds; the options are those of `each_check`."""
    return [finding for _, findings in each_check(client, project, **options) for finding in findings]


def sentiment() -> Control:
    """The control of SENTIMENT."""
    return read_label_config(SENTIMENT).control()


def choice_result(label: str) -> list[dict[str, Any]]:
    """One result of SENTIMENT."""
    return [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]


class DataDirTemplate:
    """A migrated, empty data directory to copy: a start from a copy takes 6 s, a first start 25 s."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def copy_to(self, data_dir: Path) -> Path:
        """Fill `data_dir` as after a first start; creates the template where it is missing."""
        if not (self.root / "ready").exists():
            with LocalLabelStudio(self.root / "data"):
                pass
            (self.root / "ready").touch()
        shutil.copytree(self.root / "data", data_dir, dirs_exist_ok=True)
        return data_dir


@dataclass(frozen=True)
class Site:
    """The Label Studio of this test run, its administrator and three annotators who signed up by invitation."""

    process: LocalLabelStudio
    admin: Client
    accounts: tuple[Account, ...]
    people: tuple[Client, ...]
    known: dict[str, tuple[Account, Client]] = field(default_factory=dict)

    def person(self, name: str) -> tuple[Account, Client]:
        """Somebody by name, who signs up where they have not yet."""
        if name not in self.known:
            account = sign_up(self.url, self.admin.invitation(), f"{name}@example.com")
            self.known[name] = (account, Client(self.url, account.token))
        return self.known[name]

    @property
    def url(self) -> str:
        return self.process.url

    @contextmanager
    def project(self, n_tasks: int = 10, **settings: Any) -> Iterator[Project]:
        """Make a project with tasks; deleted at the end."""
        fields = {"title": "test", "label_config": SENTIMENT, **settings}
        made = str(self.admin.create_project(**fields)["id"])
        try:
            tasks = [{"data": {"text": f"text {number}"}} for number in range(n_tasks)]
            yield Project(self.admin, made, tuple(self.admin.import_tasks(made, tasks)) if tasks else ())
        finally:
            delete_project(self.admin, made)


def delete_project(client: Client, project: str) -> None:
    """Delete a project and everything in it, as a user may do at any time."""
    client.send("DELETE", f"api/projects/{project}/", timeout_s=300.0)


def patch_annotation(client: Client, annotation: int, **fields: Any) -> None:
    """Change an annotation in Label Studio's editor: result, ground_truth, ..."""
    client.send("PATCH", f"api/annotations/{annotation}/", body=fields)


def delete_annotation(client: Client, annotation: int) -> None:
    """Delete an annotation in Label Studio's editor; one that was deleted already is no error."""
    with suppress(NotFound):
        client.send("DELETE", f"api/annotations/{annotation}/")


@dataclass(frozen=True)
class Project:
    """One project of a test."""

    admin: Client
    id: str
    tasks: tuple[int, ...]

    def body(self) -> dict[str, Any]:
        return self.admin.project(self.id)

    def overlaps(self) -> dict[int, tuple[int, bool]]:
        """Per task: overlap and whether it counts as labelled."""
        found = self.admin.each_task(self.id, include=("id", "overlap", "is_labeled"))
        return {task["id"]: (task["overlap"], task["is_labeled"]) for task in found}

    def counters(self) -> dict[int, tuple[int, ...]]:
        """Per task: annotations, skips and predictions."""
        names = ("total_annotations", "cancelled_annotations", "total_predictions")
        found = self.admin.each_task(self.id, include=("id", *names))
        return {task["id"]: tuple(task[name] for name in names) for task in found}

    def everything(self) -> dict[str, Any]:
        """All that connecting may touch, for comparison before and after."""
        versions = {row["model_version"]: row["count"] for row in self.admin.model_versions(self.id)}
        return {
            "project": self.body(),
            "overlaps": self.overlaps(),
            "counters": self.counters(),
            "webhooks": [_without_times(row) for row in self.admin.webhooks(self.id)],
            "backends": [_without_times(row) for row in self.admin.backends(self.id)],
            "versions": versions,
        }


def _without_times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("updated_at", "created_at")}


@dataclass
class StubBackend:
    """The least that Label Studio accepts as an ML backend; remembers the webhook events that it gets."""

    port: int = field(default_factory=free_port)
    model_version: str = "m1"
    events: list[tuple[Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> StubBackend:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({"status": "UP"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/webhook"):
                    backend.events.append((dict(self.headers), body))
                    self._answer({})
                elif self.path.endswith("/predict"):
                    empty = {"result": [], "score": 0.0, "model_version": backend.model_version}
                    self._answer({"results": [empty for _ in body["tasks"]]})
                else:
                    self._answer({"model_version": backend.model_version})

            def _answer(self, body: Mapping[str, Any]) -> None:
                raw = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def open_site(process: LocalLabelStudio, names: Sequence[str] = ("ada", "ben", "cleo")) -> Iterator[Site]:
    """Run Label Studio, sign people up, close everything at the end."""
    with process, Client(process.url, process.admin.token) as admin:
        accounts = tuple(sign_up(process.url, admin.invitation(), f"{name}@example.com") for name in names)
        people = tuple(Client(process.url, account.token) for account in accounts)
        known = dict(zip(names, zip(accounts, people, strict=True), strict=True))
        try:
            yield Site(process, admin, accounts, people, known)
        finally:
            for _account, person in known.values():
                person.close()
