"""A real browser without a window: what a page becomes in it, and what it complains of."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_QUIET = (  # nothing leaves the machine, nothing is asked at the first start
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


def render(url: str, folder: Path, *, width: int = 1000, height: int = 1400, dark: bool = False) -> Rendered:
    """Open a page; its picture is `page.png` in the folder."""
    chosen = program()
    assert chosen is not None
    options = [*_QUIET, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [chosen, *options, "--dump-dom", f"--screenshot={folder / 'page.png'}", url],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )
    return Rendered(done.stdout, tuple(_COMPLAINT.findall(done.stderr)))
