from __future__ import annotations

from feedback.store import ReviewProjectRow, Store


def test_a_tier_has_the_review_project_that_was_saved_last(store: Store) -> None:
    store.review_projects.save_review_project("1", ReviewProjectRow("20", "L2", "a"))
    store.review_projects.save_review_project("1", ReviewProjectRow("30", "L3", "b"))
    store.review_projects.save_review_project("1", ReviewProjectRow("21", "L2", "c"))
    store.review_projects.save_review_project("2", ReviewProjectRow("40", "L2", "d"))

    assert store.review_projects.list_review_projects("1") == {
        "L2": ReviewProjectRow("21", "L2", "c"),
        "L3": ReviewProjectRow("30", "L3", "b"),
    }
    assert store.review_projects.list_review_project_ids("1") == ["20", "21", "30"]


def test_a_retired_review_project_has_no_tier_and_is_still_listed(store: Store) -> None:
    store.review_projects.save_review_project("1", ReviewProjectRow("20", "L2", "a"))

    store.review_projects.forget_review_project("1", "L2")

    assert store.review_projects.list_review_projects("1") == {}
    assert store.review_projects.list_review_project_ids("1") == ["20"]


def test_a_refreshed_review_project_is_checked_before_its_next_use(store: Store) -> None:
    store.review_projects.save_review_project("1", ReviewProjectRow("20", "L2", "a"))

    store.review_projects.refresh_review_projects("1")

    assert store.review_projects.list_review_projects("1") == {"L2": ReviewProjectRow("20", "L2", "")}


def test_every_review_project_is_listed_however_many_there_were(store: Store) -> None:
    with store.transaction():
        for number in range(1_200):
            store.review_projects.save_review_project("1", ReviewProjectRow(str(number), "L2", ""))

    assert len(store.review_projects.list_review_project_ids("1")) == 1_200
