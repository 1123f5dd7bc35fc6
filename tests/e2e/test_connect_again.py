"""A connect that failed is over: the next one finds the project as it is then."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.app.bootstrap import opened_store
from feedback.errors import NotConnected
from feedback.project import connect
from feedback.settings import read_settings
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.projects import UNCERTAINTY
from tests.support.label_studio import Project, Site, StubBackend, free_port

pytestmark = pytest.mark.e2e


def test_what_changed_between_a_connect_that_failed_and_one_that_worked_is_there_after_leaving(
    site: Site, project: Project, backend: StubBackend, tmp_path: Path
) -> None:
    environ = {"HITL_DATA_DIR": str(tmp_path), "LABEL_STUDIO_URL": site.url, "LABEL_STUDIO_API_KEY": "of the client"}
    settings = read_settings(environ | {"HITL_PUBLIC_URL": f"http://127.0.0.1:{free_port()}"})
    with opened_store(settings) as store:
        with pytest.raises(LabelStudioError, match="cannot reach this service"):
            connect.connect(settings, store, site.admin, project.id, now_s=0.0)
        with pytest.raises(NotConnected):
            connect.disconnect(store, site.admin, project.id)
        site.admin.patch_project(project.id, sampling="Uniform sampling")
        reached = read_settings(environ | {"HITL_PUBLIC_URL": backend.url})

        connect.connect(reached, store, site.admin, project.id, now_s=0.0)
        assert project.body()["sampling"] == UNCERTAINTY
        connect.disconnect(store, site.admin, project.id)

    assert project.body()["sampling"] == "Uniform sampling"
