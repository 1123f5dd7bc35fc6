from __future__ import annotations

import logging
import re
import subprocess
import sys

from feedback.app.logging import RepeatFilter

EVIL = "title \x1b]0;owned\x07 \x9b2J \u202e \ud800"
PROCESS = f"""
import logging, sys, threading, warnings
gunicorn = logging.StreamHandler()
logging.getLogger("gunicorn.error").addHandler(gunicorn)
from feedback.app.logging import log_to_stderr
from feedback.settings import read_settings
log_to_stderr(read_settings({{}}))
evil = {EVIL!r}
logging.getLogger("feedback.loop").info("project %s\\nERROR forged", evil)
logging.getLogger("gunicorn.error").error(evil)
warnings.warn(evil)
def fail(): raise ValueError(evil)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
try: fail()
except ValueError: logging.getLogger("ml_backend").exception("failed")
"""


def test_of_a_thousand_equal_lines_the_first_is_written_and_then_their_number():
    now = [0.0]
    repeats, written = RepeatFilter(clock=lambda: now[0]), list[str]()

    def say(text: str) -> None:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (text,), None)
        if repeats.filter(record):
            written.append(record.getMessage())

    for _ in range(1000):
        say("full")
    say("other")
    now[0] = 1.5
    say("full")

    assert written == ["full", "other", "full (and 999 more like this)"]


def test_no_control_character_reaches_the_log_of_a_process():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, check=True, timeout=30)
    log = done.stderr.decode()

    assert log.count("owned") >= 5, log  # ours, gunicorn's, a warning, and the tracebacks of a thread and of a logger
    assert re.findall("(?!\n|\t)[\x00-\x1f\x7f-\x9f\u202a-\u202e]", log) == []
    assert "\nERROR forged" not in log
