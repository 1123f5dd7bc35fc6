"""The timeline of a case: texts of people do not change the reading direction of our own words."""

from __future__ import annotations

from feedback.reports.case_report import CaseReport, case_timeline
from feedback.store import CaseEvent, CaseRow, ReviewRow

BACKWARDS, BACK = "\u202emrah on", "\u202c"


def test_a_text_that_reads_backwards_turns_no_word_of_ours():
    look = ReviewRow(
        "9", 5, 1, 1, "L2", 0.0, 3, "fix", None, "code", BACKWARDS, {}, None, "v", 2.0, None, False, BACKWARDS
    )
    step = CaseEvent(1.0, "open", "queued", "L2", note=BACKWARDS)
    case = CaseRow("9", 7, "queued", "L2")

    opened, reviewed = case_timeline(CaseReport(case, [step], [look], []), {"code": BACKWARDS})

    assert opened.text == f"opened at L2: {BACKWARDS}{BACK}"
    assert reviewed.text == (
        f"person 3 at L2: fix; {BACKWARDS}{BACK}; {BACKWARDS}{BACK} (not counted: {BACKWARDS}{BACK})"
    )
