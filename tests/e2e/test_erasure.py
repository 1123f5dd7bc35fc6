"""Forgetting on a real Label Studio: what stood in review projects goes there, too, and no sweep brings it back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.privacy.erasure_and_access import build_access_report, erase_person_or_task
from feedback.review.review_task_content import HISTORY
from feedback.store import open_store
from tests.support.everything import where
from tests.support.label_studio import Site
from tests.support.proof import whole
from tests.support.real_platform import RealLabelStudio
from tests.support.review_world import CLEO, DAN, World, policy_text

pytestmark = pytest.mark.e2e
MARK, TEXT = "zanzibar", "timbuktu"


@pytest.fixture
def real_world(site: Site, tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}")
    real = RealLabelStudio(site, store)
    yield World(store, tmp_path / "models", real, project=real.project)
    real.close()
    store.close()


def test_a_reviewer_and_then_a_task_are_forgotten(real_world: World) -> None:
    real, store, project = real_world.site, real_world.store, real_world.project
    assert isinstance(real, RealLabelStudio)
    real_world.use(policy_text(), overlap=2)
    (task,) = real.add(f"a1 {TEXT} red")
    real.site.admin.patch_project(project, maximum_annotations=2)
    real_world.turn()
    real_world.disagree(task)
    real_world.review(
        "L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment=f"{MARK}, is a nut a tool?"
    )
    real_world.turn()
    above, below = real.review_project_of("L3"), real.review_project_of("L2")
    (copy,) = real.waiting(above, DAN)
    assert MARK in str(copy.data[HISTORY])
    cleo = real.number(CLEO)
    assert {"review", "case_event", "annotation"} <= set(build_access_report(store, project, cleo)["held"])

    done = erase_person_or_task(store, project, person=cleo, platform=real.platform, now_s=time.time())

    assert (where(store, MARK), done.not_updated) == ([], ())
    (copy,) = real.waiting(above, DAN)
    assert MARK not in str(copy.data)
    for review_project in (above, below):
        real.run_full_sync(store, review_project)
    real_world.turn()
    assert where(store, MARK) == []
    assert build_access_report(store, project, cleo)["held"] == {}
    whole(store)

    done = erase_person_or_task(store, project, task=task, platform=real.platform, now_s=time.time())

    assert (where(store, TEXT), done.not_updated) == ([], ())
    assert [list(real.site.admin.each_task(review_project)) for review_project in (above, below)] == [[], []]
    real.site.admin.delete_task(task)
    for review_project in (above, below, project):
        real.run_full_sync(store, review_project)
    real_world.turn()
    assert where(store, TEXT) == []
    whole(store)
