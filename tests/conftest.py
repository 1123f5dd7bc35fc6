"""What all tests share: one real Label Studio a run, prepared while the tests that need none are run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_backend.labelstudio.local_server import LocalLabelStudio
from tests.support import hypothesis_profiles  # noqa: F401 - registers the profile of `make quick`
from tests.support.label_studio import DataDirTemplate, Project, Site, StubBackend, open_site

_MIN_FREE = 256 << 20  # bytes, many times what a run leaves there


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room: Label Studio syncs its SQLite so often that the disk is half of what it takes."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
    if memory.is_dir() and shutil.disk_usage(memory).free > _MIN_FREE:
        with tempfile.TemporaryDirectory(prefix="hitl-label-studio-", dir=memory) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("label-studio")


@pytest.fixture(scope="session")
def coming_template(quick_folder: Path) -> Iterator[Future[DataDirTemplate]]:
    """Half a minute of Label Studio's migrations, on a core that the other tests leave idle."""
    made = DataDirTemplate(quick_folder / "template")

    def make() -> DataDirTemplate:
        made.copy_to(quick_folder / "first")
        return made

    with ThreadPoolExecutor(1) as hand:
        yield hand.submit(make)


@pytest.fixture(scope="session", autouse=True)
def _begin_at_once(request: pytest.FixtureRequest) -> None:
    if any("template" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("coming_template")


@pytest.fixture(scope="session")
def template(coming_template: Future[DataDirTemplate]) -> DataDirTemplate:
    """A migrated, empty Label Studio, made once a run and copied by each start."""
    return coming_template.result()


@pytest.fixture(scope="session")
def site(quick_folder: Path, template: DataDirTemplate) -> Iterator[Site]:
    """A real Label Studio with its default switches: no legacy tokens, slow bulk writes."""
    process = LocalLabelStudio(template.copy_to(quick_folder / "site"), fast_bulk=False)
    with open_site(process) as running:
        yield running


@pytest.fixture
def project(site: Site) -> Iterator[Project]:
    """A fresh project with ten texts."""
    with site.project() as made:
        yield made


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    """A small ML backend that Label Studio can reach."""
    with StubBackend() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """In CI a skip is a failure: what is skipped there is proved nowhere."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, and CI refuses skips: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those with a Label Studio come last, when it is there and only as long as it is needed.

    Figures of speed are left to `make bench`: on a busy machine they would say nothing.
    """
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)
    if "timed" in str(config.option.markexpr):
        return
    timed = [item for item in items if item.get_closest_marker("timed")]
    if timed:
        config.hook.pytest_deselected(items=timed)
        items[:] = [item for item in items if not item.get_closest_marker("timed")]
