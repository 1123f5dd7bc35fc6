from io import StringIO
from typing import Any

from rich.console import Console

from feedback.demo.live_view import render_progress, render_verdicts

WAITS = "9 of the 20 answered training tasks; audit tasks do not count"


def shown(*parts: Any) -> str:
    """What a wide terminal shows, in one line."""
    console = Console(file=StringIO(), width=400)
    console.print(*parts)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def agreement(**figures: Any) -> str:
    status = {"agreement": {"percent": 1.0, "kappa": None, "low": None, "high": None, "items": 6, **figures}}
    return shown(render_progress(status, (), goal=10, elapsed_s=1.0, url="http://127.0.0.1"))


def test_agreement_is_told_as_far_as_it_is_known():
    assert "no random task has two votes yet" in agreement(items=0, percent=None)
    assert "100.0% on 6 random tasks, too few for kappa" in agreement()
    assert "kappa 0.70 [0.50, 0.90] on 6 random tasks" in agreement(kappa=0.7, low=0.5, high=0.9)


def test_a_demo_that_ends_without_a_model_says_what_it_waited_for():
    status = {"model": None, "first_model_waits_for": WAITS}

    assert WAITS in shown(render_progress(status, (), goal=10, elapsed_s=1.0, url="http://127.0.0.1"))
    assert WAITS in shown(render_verdicts((), status))
