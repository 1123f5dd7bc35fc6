"""A disk that can be filled and freed."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.proof import Web


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Callable[[Web], None], Callable[[], None], Callable[[], object]]]:
    """A disk that can be filled and freed: a tmpfs where we may mount one, else a limit on the size of files."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        filler = folder / "filler"

        def fill(_web: Web) -> None:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        try:
            yield fill, filler.unlink, ExitStack
        finally:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
        return

    pids: list[int] = []

    def limit(web: Web) -> None:
        pids[:] = [int(one) for one in subprocess.check_output(["ps", "-o", "pid=", "-s", str(web.pid)]).split()]
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def free() -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    @contextmanager
    def for_us() -> Iterator[None]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))  # inherited by `hitl status`
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    yield limit, free, for_us
