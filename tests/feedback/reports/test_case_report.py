"""Cases: the timeline of one, and which of a list are hidden from people who may have to decide them."""

from __future__ import annotations

from itertools import product

from feedback.policy import read_policy
from feedback.reports.case_report import CaseReport, case_timeline, is_read_blind, list_case_page
from feedback.review.case_state_machine import ON_REQUEST, SECOND_LOOK
from feedback.store import CaseEvent, CaseRow, ProjectRow, ReviewRow, Store

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


def test_a_list_hides_exactly_the_cases_that_are_read_blind(store: Store):
    policy = read_policy("version = 1\n[tiers.L1]\n[tiers.L2]\n[tiers.L3]\nblind = true\n")
    project = ProjectRow("9", options={"policy": policy.model_dump(mode="json")})
    kinds = product(
        ("queued", "decided"), ("L2", "L3"), ("a rule", SECOND_LOOK, ON_REQUEST), (True, False), (True, False)
    )
    cases = store.cases.create_cases(
        [
            CaseRow("9", task, state, tier, rule=rule, measures=measures, blind=blind)
            for task, (state, tier, rule, measures, blind) in enumerate(kinds, start=1)
        ],
        "open",
    )
    hidden = {case.task for case in cases if is_read_blind(case, policy)}
    seen = list_case_page(store, project, hides_blind=True, size=30, now_s=0.0)

    assert {case.task for case in seen.cases} == {case.task for case in cases} - hidden
    assert (seen.total, seen.hidden) == (len(cases) - len(hidden), len(hidden))
