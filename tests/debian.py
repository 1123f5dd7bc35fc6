"""Install the Debian packages that tests start servers from: `python -m tests.debian`, quiet where nothing is missing.

Only as root, only with apt-get; elsewhere the tests that need them are skipped by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {"postgresql": "postgres", "chromium": "chromium"}


def missing() -> list[str]:
    """The packages whose program is not there."""
    return [package for package, program in PACKAGES.items() if not _found(program)]


def main() -> int:
    wanted = missing()
    if not wanted:
        return 0
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"not installed: {', '.join(wanted)}; the tests that need them will be skipped", file=sys.stderr)  # noqa: T201
        return 0
    # no service may be started by the installation: tests start their own, on ports of their own
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *wanted]
    for command in (["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}", file=sys.stderr)  # noqa: T201
    if still := missing():
        print(f"could not be installed: {', '.join(still)}; their tests will be skipped", file=sys.stderr)  # noqa: T201
    return 0


def _found(program: str) -> bool:
    return shutil.which(program) is not None or any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


if __name__ == "__main__":
    sys.exit(main())
