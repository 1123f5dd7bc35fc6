"""A browser that dies is started again, a browser that complains is believed."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import browser

URL = "data:text/html,<title>here</title><p>it is drawn</p>"


def script(folder: Path, last: str) -> Path:
    """A browser that writes down how it was started, then does the last line."""
    made = folder / "browser"
    made.write_text(f'#!/bin/sh\nfor word; do case "$word" in *profile*) echo "$word" >> starts;; esac; done\n{last}\n')
    made.chmod(0o755)
    return made


def starts(folder: Path) -> list[str]:
    """The profiles it was started with."""
    return (folder / "starts").read_text().split()


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.browser
@pytest.mark.skipif(browser.program() is None, reason="no chromium on this machine")
def test_a_browser_that_died_of_a_signal_draws_the_page_at_its_next_start(tmp_path: Path):
    dies_once = script(tmp_path, f'[ $(wc -l < starts) -gt 1 ] || kill -SEGV $$; exec {browser.program()} "$@"')

    page = browser.render(URL, tmp_path, chosen=str(dies_once))

    assert "it is drawn" in page.dom
    assert (tmp_path / "page.png").stat().st_size > 0
    assert len(set(starts(tmp_path))) == 2  # the profile of the dead is not opened again


def test_a_browser_that_always_dies_is_started_three_times_in_all(tmp_path: Path):
    dies = script(tmp_path, "kill -SEGV $$")

    with pytest.raises(subprocess.CalledProcessError) as error:
        browser.render(URL, tmp_path, chosen=str(dies))

    assert error.value.returncode == -signal.SIGSEGV
    assert len(set(starts(tmp_path))) == len(starts(tmp_path)) == 3


def test_a_browser_that_ends_with_an_error_is_believed_at_once(tmp_path: Path):
    fails = script(tmp_path, "exit 139")

    with pytest.raises(subprocess.CalledProcessError) as error:
        browser.render(URL, tmp_path, chosen=str(fails))

    assert error.value.returncode == 139
    assert len(starts(tmp_path)) == 1
