"""Web servers on loopback: Label Studio, and others that have media files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.media_hosts import Site


@pytest.fixture
def sites() -> Iterator[Callable[[], Site]]:
    made: list[Site] = []

    def make() -> Site:
        made.append(Site())
        threading.Thread(target=made[-1].server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return made[-1]

    yield make
    for site in made:
        site.server.shutdown()
        site.server.server_close()


@pytest.fixture
def home(sites: Callable[[], Site]) -> Site:
    return sites()
