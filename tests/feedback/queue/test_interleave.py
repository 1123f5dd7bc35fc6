from __future__ import annotations

from feedback.queue.interleave import OpenTask, interleave
from ml_backend.records import Answer

YES = Answer("choices", ("yes",))


def learnable(n: int) -> list[OpenTask]:
    return [OpenTask(task, "train", blind=False, audit_order=0.0) for task in range(n)]


def audit(*tasks: int) -> list[OpenTask]:
    return [OpenTask(task, "judge", blind=True, audit_order=1.0 - task / 1000) for task in tasks]


def test_the_strategy_leads_where_nothing_else_waits():
    ranked = [(3, "strategy"), (0, "strategy"), (1, "random"), (2, "strategy")]
    places = interleave(learnable(4), ranked, {}, size=10, audit_quota=0.2)

    assert [(place.task, place.reason) for place in places] == ranked


def test_the_audit_gets_its_quota_in_hash_order_and_is_blind():
    open_tasks = learnable(80) + audit(*range(100, 120))
    ranked = [(task, "strategy") for task in range(80)]
    predictions = dict.fromkeys(range(200), (YES, 0.9))
    places = interleave(open_tasks, ranked, predictions, size=50, audit_quota=0.2)
    audited = [place for place in places if place.reason == "audit"]

    assert len(audited) == 10
    assert [place.task for place in audited] == list(range(119, 109, -1))
    assert all(place.answer is None and place.confidence is None for place in audited)
    assert all(place.answer == YES for place in places if place.reason == "strategy")


def test_the_quota_holds_in_every_beginning_of_the_queue():
    open_tasks = learnable(200) + audit(*range(300, 400))
    places = interleave(open_tasks, [(task, "strategy") for task in range(200)], {}, size=100, audit_quota=0.5)

    for length in range(2, 100):
        audited = sum(place.reason == "audit" for place in places[:length])
        assert abs(audited - length / 2) <= 1


def test_second_opinions_are_woven_in_blind():
    again = [OpenTask(task, "train", blind=True, audit_order=0.0, reopened=True) for task in (500, 501)]
    places = interleave(
        learnable(20) + again, [(task, "strategy") for task in range(20)], {500: (YES, 0.8)}, size=12, audit_quota=0.2
    )

    second = [place for place in places if place.reason == "second opinion"]
    assert [(place.task, place.answer) for place in second] == [(500, None), (501, None)]


def test_nobody_is_asked_twice_and_the_window_is_never_too_long():
    open_tasks = learnable(50) + audit(*range(100, 130))
    places = interleave(open_tasks, [(task, "strategy") for task in range(50)], {}, size=40, audit_quota=0.3)

    assert len(places) == len({place.task for place in places}) == 40
