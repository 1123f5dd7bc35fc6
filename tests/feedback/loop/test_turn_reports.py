"""Reports are recorded when they changed."""

from __future__ import annotations

import json

from feedback.loop.turn import record_agreement, record_annotators
from feedback.reports.agreement_report import agreement_figures
from feedback.store import Store
from tests.feedback.reports import test_agreement_report, test_annotator_report

UNCLEAR, votes = test_agreement_report.UNCLEAR, test_annotator_report.votes


def test_agreement_is_recorded_when_it_changed(store: Store):
    unclear = test_agreement_report.snapshot(UNCLEAR, range(60))
    for now_s in (1.0, 2.0):
        record_agreement(store, unclear, now_s=now_s)
    (kept,) = store.records.list_records("7", "agreement")
    assert json.loads(json.dumps(kept.body)) == agreement_figures(unclear) | {"at_s": 1.0}

    changed = test_agreement_report.snapshot(UNCLEAR | {0: ("none", "hate")}, range(60))
    record_agreement(store, changed, now_s=3.0)
    assert len(store.records.list_records("7", "agreement")) == 2


def test_annotators_are_recorded_when_their_votes_changed(store: Store):
    for given in (votes(50), votes(50), votes(60)):
        record_annotators(store, test_annotator_report.snapshot(given, range(50)), now_s=1.0)

    kept = store.records.list_records("7", "people")
    assert [record.body["votes"] for record in kept] == [180, 150]
    assert json.loads(json.dumps(kept[0].body))["people"][0]["person"] == 3
