"""Label configs of other kinds on a real Label Studio: learned with predictions that its editor shows, or refused."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.project.connect import connect, disconnect
from feedback.store import Store
from ml_backend.errors import LabelConfigError
from ml_backend.features.media_fetcher import MediaFetcher
from tests.support import stores
from tests.support.connected import loop_of, settings_of
from tests.support.label_studio import Site, StubBackend, delete_project, run_checks

pytestmark = pytest.mark.e2e

GOOD, BAD = ["lovely", "great", "friendly", "warm"], ["awful", "dirty", "rude", "cold"]
TEXT = '<Text name="t" value="$text"/>'
NESTED = (
    f'<View>{TEXT}<Choices name="c" toName="t" allowNested="true"><Choice value="Room">'
    '<Choice value="good"/><Choice value="bad"/></Choice><Choice value="Other"/></Choices></View>'
)
DYNAMIC = f'<View>{TEXT}<Choices name="c" toName="t" value="$options"><Choice value="unclear"/></Choices></View>'
WRITTEN, COMPOSED = "go\u0301od\xa0", "g\xf3od"  # one label, as a Mac and as other machines write it
ODD = (  # tags in small letters, too
    f'<view><text name="t" value="$text"/><choices name="c" toName="t"><choice value="{WRITTEN}"/>'
    '<choice value="bad"/></choices></view>'
)
REPEATER = (
    '<View><Repeater on="$pages" indexFlag="{{idx}}"><Text name="p_{{idx}}" value="$pages[{{idx}}].text"/>'
    '<Choices name="c_{{idx}}" toName="p_{{idx}}"><Choice value="a"/><Choice value="b"/></Choices></Repeater></View>'
)
IMAGES = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    '<Choice value="round"/><Choice value="square"/></Choices></View>'
)
POLICY = Policy(
    queue=Queue(window=30, head=3),
    audit=Audit(share=0.3),
    overlap=Overlap(share=0.0),
    train=Train(min_rows=8, min_new=8),
)


@contextmanager
def project_of(site: Site, label_config: str, data: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A project with this label config and these tasks."""
    made = str(site.admin.create_project(title="configs", label_config=label_config)["id"])
    try:
        site.admin.import_tasks(made, [{"data": item} for item in data])
        yield made
    finally:
        delete_project(site.admin, made)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(stores.fresh(tmp_path / "hitl.db")) as opened:
        yield opened


def chosen(data: dict[str, Any], label_config: str) -> list[Any]:
    """What a person chooses on a task, as the editor submits it."""
    label = "good" if any(word in data["text"] for word in GOOD) else "bad"
    if label_config == NESTED:
        return [["Room", label]]
    if label_config == ODD and label == "good":
        return [WRITTEN if int(data["text"].split()[0]) % 2 else COMPOSED]
    offered = [option["value"] for option in data["options"]]
    return [label if label_config != DYNAMIC or label in offered else offered[-1]]


@pytest.mark.parametrize("label_config", [NESTED, DYNAMIC, ODD], ids=["nested", "dynamic", "odd"])
def test_what_can_be_learned_is_predicted_as_the_editor_writes_it(
    site: Site, backend: StubBackend, store: Store, tmp_path: Path, label_config: str
):
    rng = random.Random(5)
    lists = [[{"value": "good"}, {"value": "bad"}], [{"value": "good"}, {"value": "poor"}]]
    data = [
        {"text": f"{number} the room was {rng.choice(GOOD + BAD)}", "options": lists[number % 2]}
        for number in range(90)
    ]
    with project_of(site, label_config, data) as project:
        connect(settings_of(site, backend), store, site.admin, project, policy=POLICY, now_s=time.time())
        loop = loop_of(store, tmp_path, platform=LabelStudioAdapter(site.admin, store))
        ada, turn = site.people[0], loop.turn(project)
        for _ in range(2):
            for _ in range(20):
                task = ada.next_task(project)
                assert task is not None
                value = {"choices": chosen(task["data"], label_config)}
                ada.submit(task["id"], [{"from_name": "c", "to_name": "t", "type": "choices", "value": value}])
            turn = loop.turn(project)
        held = site.admin.each_task(project, include=("id", "data", "predictions"))
        window = {row.task: row for row in store.windows.get_window(project)}
        rows = [(task, row) for task in held for row in task["predictions"] if row["model_version"] == turn.window]
        disconnect(store, site.admin, project)

    assert turn.version.startswith("m")
    assert len(rows) == len(window) >= 20
    shown = [(task["data"], region) for task, row in rows for region in row["result"]]
    assert len(shown) == sum(row.answer is not None and not row.blind for row in window.values()) >= 10
    for item, region in shown:
        (label,) = region["value"]["choices"]
        if label_config == NESTED:
            assert label in (["Room", "good"], ["Room", "bad"])
        elif label_config == DYNAMIC:
            assert label in [option["value"] for option in item["options"]]
        else:
            assert label in (WRITTEN, "bad")


def test_what_nothing_can_come_of_is_refused_or_found_before_anybody_works(
    site: Site, backend: StubBackend, store: Store
):
    pages = [{"pages": [{"text": "one"}, {"text": "two"}]}]
    with project_of(site, REPEATER, pages) as project:
        before = site.admin.project(project)
        with pytest.raises(LabelConfigError, match="stands in a Repeater"):
            connect(settings_of(site, backend), store, site.admin, project, now_s=time.time())
        assert site.admin.project(project) == before
        assert site.admin.webhooks(project) == site.admin.backends(project) == []

    buckets = [{"image": "gs://my-bucket/p01.png"}, {"image": "s3://my-bucket/p02.png"}] * 3
    with project_of(site, IMAGES, buckets) as project:
        found = run_checks(site.admin, project, connected=False, check_address=MediaFetcher(site.url).check)

    (media,) = [finding for finding in found if finding.name == "tasks not readable for a model"]
    assert media.severity == "error"
    assert media.what.startswith("in all of the first 6 tasks: an image that is not opened: 'gs://my-bucket/p01.png'")
    assert "keys of the bucket" in media.fix
