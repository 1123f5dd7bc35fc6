"""The story of a case: a sentence a line, in which nobody's text reaches beyond its place."""

from __future__ import annotations

from feedback.reports.case_timeline import story
from feedback.reports.review_report import CaseReport
from feedback.store import CaseEvent, CaseRow, ReviewRow

BACKWARDS, BACK = "\u202emrah on", "\u202c"


def test_a_text_that_reads_backwards_turns_no_word_of_ours():
    look = ReviewRow(
        "9", 5, 1, 1, "L2", 0.0, 3, "fix", None, "code", BACKWARDS, {}, None, "v", 2.0, None, False, BACKWARDS
    )
    step = CaseEvent(1.0, "open", "queued", "L2", note=BACKWARDS)
    case = CaseRow("9", 7, "queued", "L2")

    came, said = story(CaseReport(case, [step], [look], []), {"code": BACKWARDS})

    assert came.says == f"comes to L2: {BACKWARDS}{BACK}"
    assert said.says == (
        f"person 3 at L2 says fix; {BACKWARDS}{BACK}; {BACKWARDS}{BACK} (not counted: {BACKWARDS}{BACK})"
    )
