"""The whole service around a real Label Studio: what people say reaches a serving model, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from feedback.app.bootstrap import find_bot, opened_store
from feedback.app.project_names import require_project
from feedback.demo.run_demo import running_service
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.privacy.erasure_and_access import build_access_report
from feedback.project.connect import connect, disconnect
from feedback.settings import Settings, read_settings
from feedback.store import Store
from feedback.training.challenger import last_training, learned_annotations
from ml_backend.labelstudio.client import Client
from tests.support.label_studio import Project, Site, choice_result

pytestmark = pytest.mark.e2e

GOOD = ["lovely", "great", "superb", "friendly", "quick", "tasty", "warm", "bright"]
BAD = ["awful", "dirty", "slow", "rude", "cold", "broken", "noisy", "late"]
POLICY = Policy(
    queue=Queue(window=40, head=4),
    audit=Audit(share=0.3),
    overlap=Overlap(share=0.1),
    train=Train(min_rows=8, min_new=8),
)
FULL = os.environ.get("HITL_PROOF") == "full"


@dataclass(frozen=True)
class Service:
    site: Site
    project: Project
    store: Store
    settings: Settings
    environ: dict[str, str] = field(repr=False)

    def label(self, n: int, *, person: int = 0) -> list[int]:
        """Answer the next n tasks that Label Studio hands out."""
        client, made = self.site.people[person], []
        for _ in range(n):
            task = client.next_task(self.project.id)
            if task is None:
                break
            made.append(self.answer(client, task))
        return made

    def answer(self, client: Client, task: dict[str, object]) -> int:
        text = str(task["data"]["text"])  # type: ignore[index]
        shown = task["predictions"]
        parent = {"parent_prediction": shown[0]["id"]} if shown else {}  # type: ignore[index]
        label = "good" if any(word in GOOD for word in text.split()) else "bad"
        return int(client.submit(int(str(task["id"])), choice_result(label), lead_time=2.0, **parent)["id"])

    def teach(self, *, person: int = 0) -> list[int]:
        """Answer until another model serves: the gates decide how many answers that takes."""
        before, given = self.champion(), list[int]()
        while self.champion() == before and len(given) < 80:
            given += self.label(12, person=person)
            self.until("the answers", self.idle)
        self.until("the queue of the new model", self.served)
        return given

    def champion(self) -> str:
        found = self.store.registry.champion(self.project.id)
        return found.version if found else ""

    def until(self, what: str, true: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                turn = self.store.records.get_latest_record(self.project.id, "turn")
                raise TimeoutError(f"{what} did not happen; the last turn: {turn and turn.body}")
            time.sleep(0.1)

    def idle(self) -> bool:
        """Whether the worker has taken in everything that was said."""
        return all(row.state == "idle" for row in self.store.jobs.list_jobs() if row.project == self.project.id)

    def knows(self, given: list[int]) -> bool:
        """Whether these annotations are votes and the worker is idle; idle alone may be before it hears of them."""
        votes = self.store.votes.list_votes(self.project.id)
        return set(given) <= {vote.annotation for vote in votes} and self.idle()

    def served(self) -> bool:
        """Whether the queue of the champion is what Label Studio serves."""
        version = str(self.project.body()["model_version"])
        return bool(self.champion()) and version.startswith(f"{self.champion()}+q") and self.idle()


def texts(n: int) -> list[str]:
    rng = random.Random(11)
    return [
        f"{number} the room was {rng.choice(GOOD + BAD)} {rng.choice(['today', 'again', 'here'])}"
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def running(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One service for all tests of this file."""
    home: Path = tmp_path_factory.mktemp("service")
    with running_service(home, label_studio_url=site.url, api_key=site.process.admin.token) as environ:
        yield environ


@pytest.fixture
def service(site: Site, running: dict[str, str]) -> Iterator[Service]:
    settings = read_settings(running)
    with opened_store(settings) as store, site.project(0) as project:
        store.secrets.save_secret("draws", "the same audit stream in every run")
        site.admin.import_tasks(project.id, [{"data": {"text": text}} for text in texts(150)])
        connect(settings, store, site.admin, project.id, policy=POLICY, now_s=time.time())
        made = Service(site, project, store, settings, running)
        made.until("the first window", lambda: bool(project.body()["model_version"]) and made.idle())
        yield made
        disconnect(store, site.admin, project.id)


def test_a_submit_teaches_the_model_that_orders_the_next_question(service: Service):
    early = service.site.people[2].next_task(service.project.id)  # opened now, answered three windows later
    assert early is not None
    given = service.teach()
    learned = learned_annotations(service.store, service.project.id, service.champion())
    taught = set(given) & learned

    assert taught
    task = service.site.people[1].next_task(service.project.id)
    assert task is not None
    window = sorted(service.store.windows.get_window(service.project.id), key=lambda row: (row.place, row.task))
    closed = {number for number, (_, labeled) in service.project.overlaps().items() if labeled}
    free = [row.task for row in window if row.task not in closed and row.task != early["id"]]  # a lock holds one back
    assert task["id"] == free[0]
    assert {row["model_version"] for row in task["predictions"]} == {window[0].version}
    for person in (0, 1):
        service.teach(person=person)
    assert int(service.store.windows.get_window(service.project.id)[0].version.rpartition("q")[2]) >= 4

    service.answer(service.site.people[2], early)
    service.until(
        "the late answer",
        lambda: early["id"] in {vote.task for vote in service.store.votes.list_votes(service.project.id)},
    )


def test_what_was_shown_is_known_by_its_number(service: Service):
    given = service.teach()
    given += service.label(6)
    service.until("the answers", lambda: service.knows(given))
    votes = service.store.votes.list_votes(service.project.id)
    seen = [vote.shown for vote in votes if vote.shown is not None]
    rows = service.store.windows.list_shown_predictions(service.project.id, seen)

    assert len(given) - 3 <= len(set(seen)) == len(rows)  # while a window is exchanged, a task may come without a row
    assert any(row.answer is not None for row in rows.values())
    # audit tasks came with an empty prediction of ours, so each of their answers counts
    assert any(row.blind for row in rows.values())
    assert service.store.uncounted.list_uncounted(service.project.id, "") == []
    held = [
        row["shown"]
        for person in {vote.person for vote in votes}
        for row in build_access_report(service.store, service.project.id, person)["held"]["vote"]
    ]
    assert {number for number in held if number is not None} == set(seen)


def test_a_worker_killed_in_the_middle_of_a_turn_changes_nothing_in_the_outcome(service: Service):
    given = service.label(25)
    service.until("a turn under way", lambda: any(row.state == "running" for row in service.store.jobs.list_jobs()))
    for pid in _workers(service.environ):
        os.kill(pid, signal.SIGKILL)
    service.until("the healing turn", service.idle, seconds=120)
    given += service.teach()

    training = last_training(service.store, service.project.id)
    votes = {vote.annotation for vote in service.store.votes.list_votes(service.project.id)}
    assert training is not None
    assert votes == set(given)
    assert service.store.verify(service.project.id)["chain"] == "ok"
    verdicts = [
        record.body["challenger"] for record in service.store.records.list_records(service.project.id, "verdict")
    ]
    assert len(verdicts) == len(set(verdicts))
    rows = service.store.windows.get_window(service.project.id)
    held = service.project.admin.model_versions(service.project.id)
    assert {row["model_version"]: row["count"] for row in held}[rows[0].version] == len(rows)


def test_our_own_writes_cause_no_work_and_no_vote(service: Service):
    bot = find_bot(service.store, service.site.url)
    assert bot is not None
    assert bot.id in require_project(service.store, service.project.id).bots
    turns = len(service.store.records.list_records(service.project.id, "turn", limit=10_000))
    tasks = [task["id"] for task in service.project.admin.tasks(service.project.id, page_size=100)]
    n, begun = 1000 if FULL else 60, time.monotonic()
    with Client(service.site.url, bot.token) as client:
        for number in range(n):
            client.submit(tasks[number % len(tasks)], choice_result("good"))
    time.sleep(1.0)

    assert service.store.votes.list_votes(service.project.id) == []
    polls = (time.monotonic() - begun) / service.settings.poll_s  # a turn each, whatever is written
    assert len(service.store.records.list_records(service.project.id, "turn", limit=10_000)) - turns <= polls + 2


def _workers(environ: dict[str, str]) -> list[int]:
    """The worker processes of this service: those whose environment names its data directory."""
    found = []
    for line in subprocess.run(
        ["pgrep", "-f", "feedback worker"], capture_output=True, text=True, check=False
    ).stdout.split():
        own = Path(f"/proc/{line}/environ").read_bytes().split(b"\0")
        if f"HITL_DATA_DIR={environ['HITL_DATA_DIR']}".encode() in own:
            found.append(int(line))
    return found
