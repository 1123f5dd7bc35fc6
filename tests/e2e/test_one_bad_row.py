"""One image that cannot be read, under an address and a title as people really write them, costs only its own task."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from feedback.loop.turn import Loop
from feedback.project.audit_splits import Splits
from feedback.reports.project_status import project_status
from feedback.training.model_factory import ModelFactory
from ml_backend.features.media import Media
from ml_backend.features.media_fetcher import MediaFetcher
from ml_backend.registry import FolderRegistry
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.label_studio import Site
from tests.support.review_world import ADA, open_world_on

pytestmark = pytest.mark.e2e

POLICY = "[queue]\nwindow = 30\n[overlap]\nshare = 0.0\n[audit]\nshare = 0.3\n[train]\nmin_rows = 8\nmin_new = 8\n"


def square(colour: tuple[int, int, int]) -> str:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def secret_with_audit_rows(project: str, images: Sequence[str]) -> str:
    """Return a secret that draws enough images to judge a first model, and not the first one."""
    for secret in map(str, count()):
        splits = Splits(secret, project, 0.3)
        roles = splits.roles([splits.dedup_key({"text": image}) for image in images])
        if roles[0] == "train" and min(roles.count("tune"), roles.count("judge")) >= 2:
            return secret
    raise AssertionError


def test_an_image_with_an_odd_address_costs_only_its_own_task(site: Site, tmp_path: Path):
    with open_world_on(site, tmp_path) as world:
        config = TEXT_CONFIG.replace("<Text ", "<Image ")
        title = "\x1b]0;owned\x07\x1b[2Jimages"
        site.admin.patch_project(world.project, label_config=config, title=title)
        colours = [((200 + n, 10, 10), "fruit") for n in range(12)] + [((10, 10, 200 + n), "tool") for n in range(12)]
        fetcher = MediaFetcher(site.url, authorization=site.admin.authorization)
        world.loop = Loop(
            world.store,
            platform=world.site.platform,
            model_factory=ModelFactory(lambda: (), media=Media(fetcher)),
            folder=FolderRegistry(tmp_path / "models"),
            clock=world.site.seconds,
        )
        images = ["/data/upload/20/größe.png", *(square(colour) for colour, _label in colours)]
        tasks = world.site.add(*images)
        world.store.secrets.save_secret("draws", secret_with_audit_rows(world.project, images))
        world.use(POLICY)
        world.turn()
        world.turn()
        for task, (_colour, label) in zip(tasks[1:], colours, strict=True):
            world.site.answer(task, label, person=ADA)
        turns = [world.turn(), world.turn()]

        row = world.store.projects.get_project(world.project)
        assert row is not None
        assert world.store.registry.champion(world.project) is not None, turns
        assert {vote.task for vote in world.store.votes.list_votes(world.project)} == set(tasks[1:])
        left_out = project_status(world.store, row)["left_out"]
        assert any("größe.png" in line for line in left_out), (left_out, turns)
