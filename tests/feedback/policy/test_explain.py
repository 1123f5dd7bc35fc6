from __future__ import annotations

from feedback.policy import read_policy
from feedback.policy.explain import evaluate_clauses, explain_policy
from feedback.policy.rule_matching import make_lookup

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


def test_every_number_of_a_policy_is_in_its_sentences():
    text = "\n".join(explain_policy(read_policy(TEXT)))

    assert (
        'data.amount is at least 5,000 and (data.standing is one of "new", "watch" or time.age is less than 1h30m)'
        in text
    )
    assert "people in L2 decide, urgent priority. Reason: a big amount." in text
    assert "model.confidence is at least 0.97 and not (signal.user_report is present)" in text
    assert "refused for now (no certificate allows it yet), so people in L1 decide" in text
    assert "Rule 3, default: all others: people in L1 decide, 2 people." in text
    assert "Tier L2 (Fraud desk): a review project, one person decides, decided within 4h" in text
    assert "ann@example.com (viewer) answers in L2, with german." in text


def test_a_policy_without_rules_is_explained():
    assert explain_policy(read_policy(""))[0] == "Every task goes to L1: there are no routing rules."


def test_each_clause_shows_the_value_that_it_was_tested_with():
    policy = read_policy(TEXT)
    found = evaluate_clauses(
        policy.conditions()[0], policy, make_lookup({"time.age": 60.0}, {"amount": 5000, "standing": "gold"})
    )

    assert [(clause.depth, clause.met) for clause in found] == [
        (0, True),
        (1, True),
        (1, True),
        (2, False),
        (2, True),
    ]
    assert "(is 'gold')" in found[3].text


def test_questions_to_reviewers_and_their_use_are_explained():
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
    sentences = "\n".join(explain_policy(read_policy(text)))

    assert 'Reviewers also answer "Which fraud?", which is required: card, identity.' in sentences
    assert "The answer is an indicator of the task's customer_id" in sentences
    assert "Signals may name a task by its order_id." in sentences
    assert "costs 25." in sentences
    assert "gets a human review on request, within 2d." in sentences


def test_the_first_tier_is_not_explained_as_a_review_project():
    text = '[tiers.L1]\nresolve = "4h"\non_breach = "reassign"\n[tiers.L2]\nprotocol = "panel"\npanel = 3\n'
    sentences = "\n".join(explain_policy(read_policy(text)))

    assert "Tier L1: the Label Studio project itself, decided within 4h, a breach is only notified" in sentences
    assert "Tier L2: a review project, a panel of 3 votes, more than 50 % decide" in sentences


def test_reasons_hours_and_rights_are_explained():
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
    sentences = "\n".join(explain_policy(read_policy(text)))

    assert "gives a reason: The label is wrong; The guideline does not say." in sentences
    assert (
        "The hours of office: mon, tue, wed, thu, fri 09:00-17:00 in Europe/Berlin, except on 2026-12-25." in sentences
    )
    assert "Human review of automated decisions is not offered" in sentences
