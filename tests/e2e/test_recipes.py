"""Recipes on a real Label Studio: projects are made once with files, and the review by rank of uncertainty works."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.demo.run_demo import running_service
from feedback.errors import RecipeError
from feedback.recipes.create_project import create_project
from feedback.recipes.recipe import load_recipe
from feedback.recipes.recipe_tasks import load_tasks
from feedback.store import open_store
from ml_backend.features.media_fetcher import MediaFetcher
from tests.support.label_studio import DataDirTemplate, Site, delete_project

pytestmark = pytest.mark.e2e


def test_a_recipe_becomes_one_project_with_its_images_as_files(site: Site, tmp_path: Path):
    made = load_tasks(load_recipe("defects"), tmp_path, limit=120)  # more than Label Studio takes in a request
    created = create_project(site.admin, made, title="Surfaces", name="defects")
    try:
        again = create_project(site.admin, made, title="Surfaces", name="defects")
        tasks = site.admin.tasks(created.id)
        fetch = MediaFetcher(site.url, authorization=site.admin.authorization)

        assert (again.id, again.tasks, created.tasks) == (created.id, 0, 120)
        assert len(tasks) == 120
        assert {task["data"]["image"].split("/")[:3] == ["", "data", "upload"] for task in tasks} == {True}
        assert fetch(tasks[7]["data"]["image"]) == made.read_file(str(made.tasks[7]["image"]))
    finally:
        delete_project(site.admin, created.id)
    with site.project(title="Mine"), pytest.raises(RecipeError, match="was not made from a recipe"):
        create_project(site.admin, replace(made, tasks=(), truth=()), title="Mine", name="defects")


def test_hitl_new_makes_a_connected_project_with_its_review_project_and_may_be_run_twice(site: Site, tmp_path: Path):
    with running_service(tmp_path, label_studio_url=site.url, api_key=site.process.admin.token) as settings:
        command = [sys.executable, "-m", "feedback", "new", "defects", "--title", "Tiles", "--limit", "12"]
        environ = {**os.environ, **settings, "COLUMNS": "200"}
        first, second = (
            subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ, check=False)
            for _ in range(2)
        )
    made = {str(row["title"]): str(row["id"]) for row in site.admin.projects() if "Tiles" in str(row["title"])}
    try:
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert set(made) == {"Tiles", "Inspector · Tiles"}
        assert "12 tasks imported" in first.stdout
        assert f"Reviewers of inspector work in project {made['Inspector · Tiles']}." in first.stdout
        assert f"hitl status {made['Tiles']}" in first.stdout
        assert "it has its tasks" in second.stdout
        assert "nothing to change, it is already connected" in second.stdout
        assert len(site.admin.tasks(made["Tiles"])) == 12
    finally:
        for project in made.values():
            delete_project(site.admin, project)


def test_the_least_sure_tenth_is_reviewed_and_a_fine_tuning_set_comes_out(tmp_path: Path, template: DataDirTemplate):
    template.copy_to(tmp_path / "label-studio")
    scaled = ["--limit", "200", "--answers", "130", "--seconds", "70", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "feedback", "demo", "--recipe", "defects", *scaled],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )
    assert done.returncode == int("BROKEN" in done.stdout), done.stderr
    assert "kept   share of the open tasks that the rules send to the inspector" in done.stdout, done.stdout

    store = open_store(f"sqlite:///{tmp_path / 'hitl' / 'hitl.sqlite3'}")
    try:
        reviewed = [row for row in store.overrides.list_overrides("1") if row.tier == "inspector"]
        decisions = store.decisions.list_decisions("1")
    finally:
        store.close()
    exported = subprocess.run(
        [sys.executable, "-m", "feedback", "export", "1", "-"],
        capture_output=True,
        text=True,
        env={**os.environ, "HITL_DATA_DIR": str(tmp_path / "hitl")},
        check=True,
    )
    rows = list(csv.DictReader(io.StringIO(exported.stdout)))

    assert reviewed
    assert all(row.shown is not None and row.model and row.confidence for row in reviewed)
    sent = [row for row in decisions if row.standing.rule == "least-sure"]
    assert sent
    assert all(row.inputs["model.uncertainty_rank"] <= 0.1 for row in sent)
    assert {row["source"] for row in rows} == {"person", "review"}
    assert all(row["data.image"].startswith("/data/upload/") for row in rows)
    compared = {row.task for row in reviewed}  # a second look at two people's answers is compared with no model
    by_review = [row for row in rows if row["source"] == "review" and int(row["task"]) in compared]
    assert by_review
    assert all(row["prediction"] and row["model"] for row in by_review)
