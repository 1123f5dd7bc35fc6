"""Proof 6: reviewers at once on a real Label Studio while web and worker are killed: no case is lost, none doubled."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from feedback.labelling_platform.service_account import find_bot
from feedback.policy import read_policy
from feedback.project import connect
from feedback.review.review_task_content import FACTS, REASON, VERDICT
from feedback.settings import read_settings
from feedback.store import Store, open_store
from feedback.store.log.projections import epoch_s
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import SECRET_HEADER
from tests.support.case_events import find_event_errors
from tests.support.label_studio import Project, Site, choice_result, delete_project
from tests.support.proof import Process, Web, size, until, whole

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]

POLICY = """
[[routing]]
id = "all"
to = "L2"
reason = "everything is looked at by two"
[tiers.L1]
[tiers.L2]
protocol = "panel"
panel = 2
[tiers.L3]
own_cases = true
[overlap]
share = 0.0
[audit]
share = 0.0
[train]
min_rows = 100000
[second_look]
share = 0.0
"""


class Reviewer(threading.Thread):
    """Somebody who answers what they are handed and is always right; every other one sends each third task up.

    Half of `patience_s` is for thinking, all of it where nothing is handed out: Label Studio on SQLite answers five to
    ten such requests a second, and fifty who ask all the time get nothing but "database is locked".
    """

    def __init__(
        self,
        number: int,
        client: Client,
        tier_projects: dict[str, str],
        stop: threading.Event,
        *,
        patience_s: float = 0.5,
    ) -> None:
        super().__init__(name=f"reviewer {number}")
        self._number, self._client, self._tier_projects, self._stopped = number, client, tier_projects, stop
        self._patience_s = patience_s
        self.accepted: list[int] = []  # annotations that Label Studio acknowledged
        self.refused = 0

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                worked = [self.review(tier) for tier in tuple(self._tier_projects)]
                self._stopped.wait(self._patience_s / 2 if any(worked) else self._patience_s)
            except LabelStudioError:
                self.refused += 1
                self._stopped.wait(self._patience_s)

    def review(self, tier: str) -> bool:
        """Answer one copy; False where nothing is handed out."""
        handed = self._client.next_task(self._tier_projects[tier])
        if handed is None:
            return False
        text = str(handed["data"]["text"])
        verdict, reason = "fix", "wrong_label"
        if tier == "L2" and self._number % 2 and number_in(text) % 3 == 0:
            verdict, reason = "escalate", "guideline_gap"
        elif any(one["result"] for one in handed["predictions"]):
            verdict, reason = "accept", ""
        accepted = [
            *choice_result(truth(text)),
            _choice(VERDICT, verdict),
            *([_choice(REASON, reason)] if reason else []),
        ]
        self.accepted.append(int(self._client.submit(handed["id"], accepted, lead_time=1.0)["id"]))
        return True


def number_in(text: str) -> int:
    return int(text.split()[-1])


def truth(text: str) -> str:
    return "good" if number_in(text) % 3 else "bad"


def test_reviewers_at_once_and_kills_lose_and_double_nothing(site: Site, tmp_path: Path) -> None:
    kills, people, n_tasks = size(ci=3, full=20), size(ci=8, full=50), size(ci=16, full=80)
    chance = random.Random(6)
    clients = [site.person(f"reviewer{number}")[1] for number in range(people)]
    with reviewed(site, tmp_path, n_tasks=n_tasks) as (project, store, web, worker):
        until(lambda: _placed(store, project.id) == n_tasks, "copies are missing", worker, within_s=600)
        tier_projects = _list_tier_projects(store, project.id)

        # nobody polls for an hour, and yet a submit is acted upon at once
        alone = [Reviewer(number, clients[number], tier_projects, threading.Event()) for number in (0, 2)]
        assert all(one.review("L2") for one in alone)
        until(lambda: _resolved(store, project.id) == 1, "a webhook was not heard", worker, within_s=60)

        # from here on web and worker die again and again
        worker.env["HITL_POLL_S"] = "2"
        stop = threading.Event()
        wait_s = 0.2 * people
        crowd = [Reviewer(number, one, tier_projects, stop, patience_s=wait_s) for number, one in enumerate(clients)]
        for one in crowd:
            one.start()
        try:
            for number in range(kills):
                time.sleep(chance.uniform(0.2, size(ci=2, full=6)))
                victim = worker if number == 0 or chance.random() < 0.6 else web
                victim.kill()
                before = _moves(store, project.id)
                victim.start()
                _wait(partial(_goes_on, store, project.id, before), worker, within_s=300)
                tier_projects.update(_list_tier_projects(store, project.id))
            _wait(lambda: _all_resolved(store, project.id, tier_projects), worker, within_s=1800)
        finally:
            stop.set()
            for one in crowd:
                one.join()
        _wait(lambda: _idle(store, project.id), worker, within_s=180)
        web.kill()
        worker.kill()

        acknowledged = [annotation for one in [*alone, *crowd] for annotation in one.accepted]
        reviews_by_annotation = {look.annotation: look for look in store.reviews.list_reviews(project.id)}
        kept = {
            one.id: one
            for tier_project in tier_projects.values()
            for one in store.annotations.list_annotations(tier_project)
        }
        late = set(acknowledged) - set(
            reviews_by_annotation
        )  # one reader too many, for whom nothing was left to decide
        assert set(acknowledged) == set(kept)
        ends = {
            (case.review_project, case.review_task): case.decided_s or 0.0
            for case in store.cases.list_cases(project.id)
        }
        assert all(epoch_s(one.created_at) > ends[one.project, one.task] for one in map(kept.__getitem__, late))
        assert len(acknowledged) == len(set(acknowledged))
        assert {
            case.id: found for case in store.cases.list_cases(project.id) if (found := find_event_errors(store, case))
        } == {}
        assert _written(site, store, project) == {task: [truth(text)] for task, text in _texts(store, project).items()}
        assert _copies(site, list(tier_projects.values())) == _places(store, project.id)
        whole(store)
        counted = [look for look in reviews_by_annotation.values() if look.counted]
        figures = {
            "reviewers": people,
            "kills": kills,
            "cases": n_tasks,
            "answers acknowledged": len(acknowledged),
            "counted": len(counted),
            "after the case was decided": len(late),
            "escalated": sum(step.event == "escalate" for step in store.cases.list_project_events(project.id)),
            "refused by Label Studio": sum(one.refused for one in crowd),
            "why others do not count": Counter(
                look.refused for look in reviews_by_annotation.values() if not look.counted
            ),
        }
        print(f"\n{figures}")  # noqa: T201  # what docs/proofs.md is written from


@contextmanager
def reviewed(site: Site, folder: Path, *, n_tasks: int) -> Iterator[tuple[Project, Store, Web, Process]]:
    """A connected project with our web and worker processes beside it."""
    env = {
        "HITL_DATA_DIR": str(folder / "data"),
        "HITL_WEB_WORKERS": "1",
        "HITL_POLL_S": "3600",
        "HITL_TICK_S": "0.3",
        "HITL_DURABILITY": "normal",  # processes are killed, not the machine
        "LABEL_STUDIO_URL": site.url,
        "LABEL_STUDIO_API_KEY": site.process.admin.token,
    }
    with site.project(n_tasks) as project, Web(env=env, log=folder / "web.log") as web:
        settings = read_settings(web.env)
        store = open_store(settings.store_url)
        connect.connect(settings, store, site.admin, project.id, policy=read_policy(POLICY), now_s=time.time())
        with Process("tests.support.actor", "serve", env=web.env, log=folder / "worker.log") as worker:
            yield project, store, web, worker
        tier_projects = [row.id for row in store.review_projects.list_review_projects(project.id).values()]
        figures = [
            [row["headers"].keys() for row in site.admin.webhooks(tier_project)] for tier_project in tier_projects
        ]
        connect.disconnect(store, site.admin, project.id)
        assert figures == [[{SECRET_HEADER: ""}.keys()]] * len(tier_projects)
        assert [site.admin.webhooks(tier_project) for tier_project in tier_projects] == [[]] * len(tier_projects)
        for tier_project in tier_projects:
            delete_project(site.admin, tier_project)
        store.close()


def _list_tier_projects(store: Store, project: str) -> dict[str, str]:
    return {tier: row.id for tier, row in store.review_projects.list_review_projects(project).items()}


def _wait(true: Callable[[], object], worker: Process, *, within_s: float) -> None:
    """Wait without asking the store all the time: fifty reviewers need the machine more."""
    deadline = time.monotonic() + within_s
    while not true():
        assert worker.running, worker.tail()
        assert time.monotonic() < deadline, worker.tail()
        time.sleep(0.5)


def _all_resolved(store: Store, project: str, tier_projects: dict[str, str]) -> bool:
    """Whether nothing waits any more; tells the reviewers of a new review project."""
    tier_projects.update(_list_tier_projects(store, project))
    return {state for _tier, state in store.cases.count_cases(project)} == {"resolved"}


def _choice(name: str, value: str) -> dict[str, object]:
    return {"from_name": name, "to_name": FACTS, "type": "choices", "value": {"choices": [value]}}


def _placed(store: Store, project: str) -> int:
    return sum(case.review_task is not None for case in store.cases.list_cases(project))


def _resolved(store: Store, project: str) -> int:
    return sum(number for (_tier, state), number in store.cases.count_cases(project).items() if state == "resolved")


def _goes_on(store: Store, project: str, before: tuple[int, int]) -> bool:
    """Whether the worker is at work again: it has moved a case, or ended a turn in which none was to be moved."""
    store.jobs.unpark_job(project, "turn")  # five deaths in one turn park it for a while, rightly: `hitl store unpark`
    return _moves(store, project) != before


def _moves(store: Store, project: str) -> tuple[int, int]:
    """How often cases were moved, and the number of the turn that ended last."""
    last = store.records.get_latest_record(project, "turn")
    return sum(case.version for case in store.cases.list_cases(project)), last.id if last else 0


def _idle(store: Store, project: str) -> bool:
    return all(row.state == "idle" for row in store.jobs.list_jobs() if row.project == project and row.kind == "turn")


def _texts(store: Store, project: Project) -> dict[int, str]:
    return {task.id: str(task.data["text"]) for task in store.tasks.list_tasks(project.id)}


def _written(site: Site, store: Store, project: Project) -> dict[int, list[str]]:
    """Our answers in the source project by task: one each, and each the ground truth."""
    bot = find_bot(store, site.url)
    assert bot is not None
    found: dict[int, list[str]] = {}
    for task in site.admin.each_task(project.id):
        for row in task["annotations"]:
            assert (row["completed_by"], row["ground_truth"]) == (bot.id, True)
            found.setdefault(task["id"], []).append(row["result"][0]["value"]["choices"][0])
    return found


def _copies(site: Site, tier_projects: list[str]) -> Counter[str]:
    """How many copies stand in each review project."""
    return Counter({tier_project: sum(1 for _ in site.admin.each_task(tier_project)) for tier_project in tier_projects})


def _places(store: Store, project: str) -> Counter[str]:
    """How many of them cases know of."""
    return Counter(
        str(step.body["review_project"]) for step in store.cases.list_project_events(project) if step.event == "assign"
    )
