"""Proof: review tasks keep their urgency while Label Studio's SQLite is locked by other people's writes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.review_project_client import (
    VERSION,
    ReviewProjectSettings,
    ReviewTask,
    ensure_review_project,
    import_review_tasks,
)
from tests.support.label_studio import SENTIMENT, Site, choice_result, delete_project
from tests.support.proof import size

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
N_IMPORTS = size(ci=5, full=40)


def import_repeatedly(site: Site, name: str, *, verified: bool) -> Counter[str]:
    """Import into a review project until it holds all; return how many tasks lack or have what."""
    found = Counter[str]()
    settings = ReviewProjectSettings(f"[hitl:{name}:L2]", name, SENTIMENT, "Load.")
    with Client(site.url, site.process.admin.token) as client:

        def persist(work: object) -> object:
            """As turns do: try again later."""
            for _ in range(20):
                try:
                    return work()  # type: ignore[operator]
                except LabelStudioError as error:
                    found[f"error {error.status}"] += 1
                    time.sleep(0.2)
            raise AssertionError(found)

        project = persist(lambda: ensure_review_project(client, settings, known="").id)
        assert isinstance(project, str)
        for number in range(N_IMPORTS):
            tasks = [ReviewTask({"text": f"{name} {number} {at}"}, tuple(choice_result("good"))) for at in range(3)]
            bodies = [{"data": dict(task.data), "predictions": [task.proposal]} for task in tasks]
            if verified:
                persist(lambda: import_review_tasks(client, project, tasks))  # noqa: B023 - called at once
            else:
                persist(lambda: client.import_tasks(project, bodies))  # noqa: B023
        rows = list(client.each_task(project))
        per_text = Counter(row["data"]["text"] for row in rows)
        found["tasks"] = len(per_text)
        found["twice"] = sum(n > 1 for n in per_text.values())
        scores = [[row["score"] for row in task["predictions"] if row["model_version"] == VERSION] for task in rows]
        found["without urgency"] = sum(not given or None in given for given in scores)
        found["two proposals"] = sum(len(given) > 1 for given in scores)
        named = [row for row in client.projects() if settings.marker in str(row["description"])]
        found["projects"] = len(named)
        for row in named:
            persist(lambda: delete_project(client, str(row["id"])))  # noqa: B023
    return found


def test_no_review_task_loses_its_urgency_under_load(site: Site) -> None:
    stop = threading.Event()

    def annotate(number: int) -> None:
        with site.project(3) as project, Client(site.url, site.accounts[number].token) as person:
            while not stop.is_set():
                for task in project.tasks:
                    try:
                        person.submit(task, choice_result("good"))
                    except LabelStudioError:
                        time.sleep(0.05)

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        stack.callback(stop.set)
        people = [pool.submit(annotate, number) for number in range(3)]
        ours = [pool.submit(import_repeatedly, site, f"ours {number}", verified=True) for number in range(3)]
        n_raw = size(ci=0, full=1)  # without verification: what it is needed for
        raw = [pool.submit(import_repeatedly, site, "raw", verified=False) for _ in range(n_raw)]
        found = [future.result() for future in ours]
        assert all(counts.result()["without urgency"] for counts in raw)
        stop.set()
        for person in people:
            person.result()

    for counts in found:
        assert counts["tasks"] == 3 * N_IMPORTS
        assert (counts["without urgency"], counts["two proposals"], counts["projects"]) == (0, 0, 1)
