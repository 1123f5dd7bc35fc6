"""The people page: work, fatigue, practice and onboarding with intervals, and no user id with a pseudonym."""

from __future__ import annotations

import json
import re
from typing import Any

from flask.testing import FlaskClient

from feedback.store import Store
from tests.support.pages import EVIL, HTML, JSON, words


def figures(person: int, **more: Any) -> dict[str, Any]:
    """What a turn records of a person."""
    share = {"value": 0.8, "low": 0.7, "high": 0.9}
    return {
        "person": person,
        "accuracy": {"value": 0.86, "low": 0.49, "high": 0.97, "n": 7, "sample": "gold answers"},
        "compared": 7,
        "against": "gold",
        "weakest_label": None,
        "distance": None,
        "answers": 12,
        "hours": 1.5,
        "per_hour": {"value": 62.0, "low": 55.0, "high": 70.0},
        "median_s": {"value": 41.0, "low": 38.5, "high": 44.0},
        "time_share": {EVIL: share, "ham": {"value": 0.2, "low": 0.1, "high": 0.3}},
        "by_hour": {"steps": [share, share], "change": {"value": -0.12, "low": -0.2, "high": -0.04, "proven": True}},
        "by_practice": None,
        "anchoring": {"value": 0.05, "low": -0.02, "high": 0.12, "proven": False},
        "onboarding": {"answered": 7, "total": 10, "accuracy": {"value": 0.86, "low": 0.49, "high": 0.97}},
        "advice": "",
        **more,
    }


def record(store: Store, *people: dict[str, Any]) -> None:
    store.records.create_record(
        "7", "people", {"votes": 48, "gold": 0, "policy": "p", "people": list(people), "at_s": 1.0}
    )


def test_the_page_shows_work_practice_and_onboarding_with_intervals(store_with_projects: Store, browser: FlaskClient):
    record(store_with_projects, figures(2), figures(3, advice="right on 0.30 of 20 gold answers: proven below 0.6"))
    page = browser.get("/projects/7/people", headers=HTML).text
    text = words(page)

    assert "62 (55 to 70)" in text
    assert "41 (38 to 44)" in text
    assert "7 of 10 86 % (49 to 97 %) right" in text
    assert "-12 points (-20 to -4.0), proven" in text
    assert "+5.0 points (-2.0 to +12)" in text
    assert "should pause: right on 0.30 of 20 gold answers: proven below 0.6." in text
    assert "<script>alert" not in page


def test_the_page_says_where_votes_do_not_tell(store_with_projects: Store, browser: FlaskClient):
    wide = {"value": None, "low": 0.2, "high": 1.0, "n": 7, "sample": "shared tasks"}
    unknown = {"unclear_labels": ["ham", EVIL], "reason": "the votes do not tell how often the answers are right"}
    alone = {"accuracy": None, "compared": 0, "against": None, "unclear_labels": [], "reason": "only two people"}
    record(store_with_projects, figures(2, accuracy=wide, against="others", **unknown), figures(3, **alone), figures(4))
    page = browser.get("/projects/7/people", headers=HTML).text
    text = words(page)

    assert "20 to 100 % of 7 shared tasks: the votes do not tell how often the answers are right" in text
    assert "cannot tell: ham" in text
    assert "only two people" in text
    assert "86 % (49 to 97 %) of 7 gold answers" in text
    assert "<script>alert" not in page


def test_no_user_id_is_shown_with_a_pseudonym(store_with_projects: Store, browser: FlaskClient):
    record(store_with_projects, figures(2), figures(3))
    found = browser.get("/projects/7/people", headers=JSON).json

    assert found is not None
    assert not re.search(r'"person"', json.dumps(found["people"]))
    assert [row["work"] is not None for row in found["people"]].count(True) == 2


def test_before_the_first_report_the_page_shows_no_work(browser: FlaskClient):
    text = words(browser.get("/projects/7/people", headers=HTML).text)

    assert "Work and practice" not in text
    assert "Weakest label" in text
