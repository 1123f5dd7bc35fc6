from __future__ import annotations

from feedback.policy import read_policy
from feedback.policy.decision import lookup
from feedback.policy.explain import clauses, explain

TEXT = """
[[routing]]
id = "big"
when = { data.amount.gte = 5000, any = [ { data.standing.in = ["new", "watch"] }, { time.age.lt = "90m" } ] }
to = "L2"
reason = "a big amount"
priority = "urgent"
[[routing]]
id = "sure"
when = { model.confidence.gte = 0.97, not = { signal.user_report.exists = true } }
to = "auto"
[[routing]]
id = "default"
to = "L1"
overlap = 2
[tiers.L1]
skip_means = "escalate"
[tiers.L2]
title = "Fraud desk"
resolve = "4h"
on_breach = "notify"
[people."ann@example.com"]
tiers = ["L2"]
skills = ["german"]
"""


def test_a_policy_is_said_in_words_that_hold_every_number():
    said = "\n".join(explain(read_policy(TEXT)))

    assert (
        'data.amount is at least 5,000 and (data.standing is one of "new", "watch" or time.age is less than 1h30m)'
        in said
    )
    assert "people in L2 decide, urgent priority. Reason: a big amount." in said
    assert "model.confidence is at least 0.97 and not (signal.user_report is there)" in said
    assert "refused for now (certificates come in step 7), so people in L1 decide" in said
    assert "Rule 3, default: all others: people in L1 decide, 2 people." in said
    assert "Tier L2 (Fraud desk): a review project, one person decides, decided within 4h" in said
    assert "ann@example.com (viewer) answers in L2, with german." in said


def test_a_policy_without_rules_says_so():
    assert explain(read_policy(""))[0] == "Every task goes to L1: there are no routing rules."


def test_each_clause_says_what_it_saw():
    policy = read_policy(TEXT)
    found = clauses(policy.conditions()[0], policy, lookup({"time.age": 60.0}, {"amount": 5000, "standing": "gold"}))

    assert [(clause.depth, clause.met) for clause in found] == [
        (0, True),
        (1, True),
        (1, True),
        (2, False),
        (2, True),
    ]
    assert "(is 'gold')" in found[3].text


def test_what_people_are_asked_beside_the_answer_and_what_becomes_of_it_is_said():
    text = """
[feedback.fraud_type]
title = "Which fraud?"
options = ["card", "identity"]
required = true
feature = true
entity = "customer_id"
[tasks]
key = "order_id"
[costs]
error = 25.0
[rights]
within = "2d"
"""
    said = "\n".join(explain(read_policy(text)))

    assert 'Beside the answer, "Which fraud?" is asked: card, identity.' in said
    assert "It belongs to the task's customer_id" in said
    assert "Signals from outside may name a task by its order_id." in said
    assert "costs 25." in said
    assert "gets a person's review when they ask, within 2d." in said


def test_what_holds_for_the_source_project_alone_is_not_said_of_it_as_of_a_review_project():
    text = '[tiers.L1]\nresolve = "4h"\non_breach = "reassign"\n[tiers.L2]\nprotocol = "panel"\npanel = 3\n'
    said = "\n".join(explain(read_policy(text)))

    assert "Tier L1: the Label Studio project itself, decided within 4h, a breach is only told" in said
    assert "Tier L2: a review project, a panel of 3 votes, more than 50% decide" in said


def test_reasons_hours_and_rights_are_read_aloud():
    text = """
[tiers.L1]
[tiers.L2]
[calendars.office]
timezone = "Europe/Berlin"
holidays = [2026-12-25]
[reasons]
wrong = "The label is wrong"
gap = "The guideline does not say"
[rights]
human_review = "never"
"""
    said = "\n".join(explain(read_policy(text)))

    assert "says why: The label is wrong; The guideline does not say." in said
    assert "The hours of office: mon, tue, wed, thu, fri 09:00-17:00 in Europe/Berlin, and never on 2026-12-25." in said
    assert "Nobody gets a person's review for the asking" in said
