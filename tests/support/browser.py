"""A real browser without a window: what a page becomes in it, and what it complains of."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tenacity

QUIET = (  # nothing leaves the machine, nothing is asked at the first start
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
_COMPLAINT = re.compile(r"CONSOLE[^\]]*\] (.*)")
_PATIENCE_S = 120


@dataclass(frozen=True)
class Rendered:
    """A page after the browser was done with it."""

    dom: str
    complaints: tuple[str, ...]  # lines of its console: errors of scripts, of the network, of the security policy


def program() -> str | None:
    """The browser of this machine, None where there is none."""
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


def render(
    url: str, folder: Path, *, width: int = 1000, height: int = 1400, dark: bool = False, chosen: str | None = None
) -> Rendered:
    """Open a page; its picture is `page.png` in the folder.

    A browser that dies of a signal (Chromium's own crash, seen once in 15 renders of CI) is started again, three times
    in all; one that ends with an error code is believed.
    """
    options = [*QUIET, f"--window-size={width},{height}", "--dump-dom", f"--screenshot={folder / 'page.png'}"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = _run(chosen or program() or "chromium", options, url, folder)
    return Rendered(done.stdout, tuple(_COMPLAINT.findall(done.stderr)))


def _died(error: BaseException) -> bool:
    return isinstance(error, subprocess.CalledProcessError) and error.returncode < 0


@tenacity.retry(retry=tenacity.retry_if_exception(_died), stop=tenacity.stop_after_attempt(3), reraise=True)
def _run(chosen: str, options: list[str], url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    profile = tempfile.mkdtemp(prefix="profile-", dir=folder)  # a new one each time: the dead leave theirs locked
    command = [chosen, *options, f"--user-data-dir={profile}", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
