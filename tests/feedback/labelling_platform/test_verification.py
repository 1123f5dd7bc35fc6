"""What was written is compared with Label Studio once after each full sync, and not in every turn."""

from __future__ import annotations

from feedback.ingest.full_sync import run_full_sync
from feedback.labelling_platform.verification import is_verification_due, record_verification
from feedback.store import Store
from tests.support.fake_platform import FakeLabelStudio


def test_a_part_is_verified_once_after_each_completed_full_sync(store: Store):
    site = FakeLabelStudio()
    site.add("a", "b", "c")
    due = [is_verification_due(store, site.project, "queue")]
    run_full_sync(store, site, site.project, clock=lambda: 1.0, go_on=lambda: False, size=2)
    due.append(is_verification_due(store, site.project, "queue"))  # it stopped half-way
    run_full_sync(store, site, site.project, clock=lambda: 2.0)
    due.append(is_verification_due(store, site.project, "queue"))
    record_verification(store, site.project, "queue")
    due.append(is_verification_due(store, site.project, "queue"))

    assert due == [False, False, True, False]
    assert is_verification_due(store, site.project, "review")
