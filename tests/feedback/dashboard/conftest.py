"""A store with projects, and browsers before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from feedback.store import Store, open_store
from tests.support import pages


@pytest.fixture
def clock() -> pages.Clock:
    return pages.Clock()


@pytest.fixture(scope="session")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's file, made once: each test has a copy."""
    path = tmp_path_factory.mktemp("pages") / "store.db"
    opened = open_store(f"sqlite:///{path}", clock=pages.Clock())
    pages.create_project(opened, "7", pages.policy(ann="admin", ben="viewer"), title="mail")
    pages.add_answers(opened, "7")
    pages.add_model_history(opened, "7", [0.8, 0.85, 0.83])
    pages.create_project(opened, "8", title="empty")
    opened.backup(path.with_suffix(".copy"))
    opened.close()
    return path.with_suffix(".copy")


@pytest.fixture
def store_with_projects(store_file: Path, tmp_path: Path, clock: pages.Clock) -> Iterator[Store]:
    """Project 7: ann is its admin, ben its viewer, cleo and dan are annotators. Project 8: nobody is listed."""
    shutil.copy(store_file, tmp_path / "store.db")
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=clock, durability="normal")
    yield opened
    opened.close()


@pytest.fixture
def browser(store_with_projects: Store) -> FlaskClient:
    """Ann's, the admin of project 7."""
    return pages.signed_in(store_with_projects, 2)
