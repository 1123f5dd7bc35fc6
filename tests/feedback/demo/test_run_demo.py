from io import StringIO
from typing import Any

from rich.console import Console

from feedback.demo.run_demo import render_progress, render_verdicts

WAITS = "9 of 20 training tasks answered; 11 more needed"


def shown(*parts: Any) -> str:
    """What a wide terminal shows, in one line."""
    console = Console(file=StringIO(), width=400)
    console.print(*parts)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


COUNTS = {"state": "connected", "tasks": 0, "answers": 0, "answered": 0, "people": 0, "skips": 0, "unreadable": 0}


def test_the_live_table_has_the_lines_of_the_status():
    reading = "kappa 0.70 [0.50, 0.90] on 6 items: too few to interpret"
    status = COUNTS | {"agreement": {"percent": 1.0, "n": 6, "sample": "random tasks", "reading": reading}}

    live = shown(render_progress(status, (), goal=10, elapsed_s=1.0, url="http://127.0.0.1"))

    assert f"{reading} Two people agree on 100 % of the 6 random tasks." in live
    assert "no task has come yet" in live


def test_a_demo_that_ends_without_a_model_shows_what_it_waited_for():
    status = COUNTS | {"model": None, "first_model_waits_for": WAITS}

    assert WAITS in shown(render_progress(status, (), goal=10, elapsed_s=1.0, url="http://127.0.0.1"))
    assert WAITS in shown(render_verdicts((), status))
