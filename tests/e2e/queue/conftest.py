"""A project that hands out what is least certain first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml_backend.labelstudio.projects import UNCERTAINTY
from tests.support.label_studio import Project, Site


@pytest.fixture
def project(site: Site) -> Iterator[Project]:
    with site.project(12, sampling=UNCERTAINTY) as made:
        yield made
