"""Rules in a policy file: what is accepted, and what is refused with which message."""

from __future__ import annotations

import pytest

from feedback.errors import PolicyError
from feedback.policy import read_policy
from feedback.policy.rule_matching import NOT_CERTIFIED, Router, make_lookup

DEFAULT = '\n[[routing]]\nid = "default"\nto = "L1"\n'
TIERS = "\n[tiers.L1]\n[tiers.L2]\n[calendars.office]\n"


def rule(when: str, more: str = 'to = "L2"') -> str:
    return f'[[routing]]\nid = "one"\nwhen = {when}\n{more}\n{DEFAULT}{TIERS}'


def goes_to(when: str, inputs: dict[str, object], data: dict[str, object]) -> str:
    return Router(read_policy(rule(when))).route_task(make_lookup(inputs, data)).to


@pytest.mark.parametrize(
    "when",
    [
        "{ data.amount.gte = 5000 }",
        '{ "data.amount" = { gte = 5000 } }',
        '{ data = { amount = { gte = 5000, lt = 9000 } }, model.label = "refund" }',
        '{ all = [ { data.amount.gt = 4999 }, { any = [ { model.label.in = ["refund"] }, { data.x = true } ] } ] }',
        "{ not = { data.amount.lt = 5000 } }",
        '{ data.text.matches = "(?i)REFUND" }',
        "{ data.customer.standing = 'new' }",
        "{ signal.user_report.count.gte = 2 }",
        '{ signal.user_report.age.lt = "1h" }',
        '{ time.age.gte = "2d" }',
        "{ time.date.gte = 2026-11-01 }",
        '{ time.within = "office" }',
        "{ history.votes.gte = 3, history.support.lt = 0.7 }",
        '{ data.tags.contains = "vip" }',
    ],
)
def test_a_condition_can_be_written(when: str):
    inputs: dict[str, object] = {
        "model.label": "refund",
        "signal.user_report": "scam",
        "signal.user_report.count": 2,
        "signal.user_report.age": 60.0,
        "time.age": 3 * 86_400.0,
        "time.date": "2026-11-20",
        "time.within": ["office"],
        "history.votes": 3,
        "history.support": 0.66,
    }
    data = {"amount": 6000, "text": "a refund", "customer": {"standing": "new"}, "tags": ["vip"]}

    assert goes_to(when, inputs, data) == "L2"
    assert goes_to(when, {}, {"amount": 1}) == "L1"


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{ model.set_size.gte = 2 }", "conformal sets do not exist yet"),
        ("{ model.ood_p.lt = 0.01 }", "out-of-distribution p-values do not exist yet"),
        ("{ model.confidnce.gte = 0.9 }", "did you mean model.confidence"),
        ("{ model.confidence.above = 0.9 }", "'above' is no test; wanted eq, ne, gt"),
        ('{ model.confidence.gte = "high" }', "model.confidence.gte is 'high'; wanted a number"),
        ('{ model.label.gt = "a" }', "is a text and has no order"),
        ("{ data.amount.in = 5 }", "wanted a list of values"),
        ("{ data.amount = [5] }", r"wanted data.amount.in = \[5\]"),
        ("{ signal.user_reprot.exists = true }", "did you mean user_report"),
        ("{ signal.user_report.cnt = 1 }", "'cnt' is no test"),
        ("{ time.age.gte = 4 }", "wanted a duration such as"),
        ('{ time.within = "weekend" }', "wanted a calendar: office"),
        ('{ data.text.matches = "(" }', "unclosed group"),
        ("{ any = [] }", "wanted a list of conditions"),
        ("{ all = [ {} ] }", "the condition is empty"),
        ("{ data.amount.gte = nan }", "2\\^53"),
        ("{ data.amount.eq = 9007199254740993 }", "2\\^53"),
        ("{ data.amount.exists = 1 }", "wanted true or false"),
        ("{ not = [ { data.a = 1 } ] }", "wanted one condition"),
        ("{ data.amount = {} }", "has no test"),
        ("{ not = " * 10 + "{ data.a = 1 }" + " }" * 10, "more than 8 deep"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_with_the_rule_and_the_reason(when: str, message: str):
    with pytest.raises(PolicyError, match=message) as caught:
        read_policy(rule(when))

    assert "routing.one.when" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[routing]]\nid = "a"\nto = "L2"', "routing.a.to is 'L2'; wanted one of L1, auto, hold"),
        ('[[routing]]\nid = "a"\nto = "L1"\nwhen = { data.x = 1 }', "the last rule has a `when`"),
        (DEFAULT + DEFAULT, "routing.default exists twice"),
        ('[[routing]]\nid = "a"\nto = "L1"\n' + DEFAULT, "routing.a has no `when`, so no later rule is reached"),
        ('[[routing]]\nid = "a b"\nto = "L1"', "routing.0.id is 'a b'"),
        ('[[routing]]\nid = "a"\nto = "L1"\nwhne = {}', "routing.0.whne is not a key; did you mean routing.0.when"),
        ('[[routing]]\nid = "a"\nto = "auto"\ntier = "L9"', "routing.a.tier is 'L9'"),
        ('[[routing]]\nid = "a"\nto = "L1"\ntier = "L1"', 'is for to = "auto"'),
        ('[[routing]]\nid = "a"\nto = "L1"\nhold = "soon"', "is no duration"),
        ('[[routing]]\nid = "a"\nto = "L1"\npriority = "top"', "priority is 'top'"),
        ("[tiers.auto]", "this name is reserved"),
        ("[tiers]", "tiers"),
    ],
)
def test_wrong_routing_rules_are_refused(text: str, message: str):
    with pytest.raises(PolicyError, match=message):
        read_policy(text)


def test_auto_is_refused_with_its_reason_and_people_decide():
    text = rule("{ model.confidence.gte = 0.9 }", 'to = "auto"\ntier = "L2"\nreason = "sure"')
    outcome = Router(read_policy(text)).route_task(make_lookup({"model.confidence": 0.99}, {}))

    assert (outcome.to, outcome.refused) == ("L2", NOT_CERTIFIED)
    assert "certificate" in outcome.refused


def test_auto_without_a_tier_goes_to_the_first():
    text = rule("{ model.confidence.gte = 0.9 }", 'to = "auto"')

    assert Router(read_policy(text)).route_task(make_lookup({"model.confidence": 0.99}, {})).to == "L1"


def test_a_hold_ends_by_itself():
    router = Router(read_policy(rule("{ data.x = 1 }", 'to = "L1"\nhold = "10m"')))

    assert router.route_task(make_lookup({"time.age": 599.0}, {"x": 1})).to == "hold"
    assert router.route_task(make_lookup({"time.age": 600.0}, {"x": 1})).to == "L1"
    assert router.route_task(make_lookup({"time.age": 0.0}, {})).to == "L1"  # another rule


def test_signals_may_be_declared_and_are_checked_as_declared():
    text = '[signals.risk]\nkind = "number"\nlow = 0.0\nhigh = 1.0\n'

    assert read_policy(text + rule("{ signal.risk.gte = 0.5 }")).all_signals["risk"].problem(2.0)
    with pytest.raises(PolicyError, match=r"signal\.risk is not declared"):
        read_policy(rule("{ signal.risk.gte = 0.5 }"))


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("model.confidence.lt = 85", "model.confidence.lt is 85; wanted a number from 0 to 1; 85 % is 0.85"),
        ("model.confidence = { gte = 0.5, lte = 95.5 }", "95.5; wanted a number from 0 to 1; 95.5 % is 0.955"),
        ("model.margin = -0.1", "model.margin.eq is -0.1; wanted a number from 0 to 1"),
        ("model.disagreement.in = [0.25, 50]", "model.disagreement.in is 50; wanted"),
        ("history.support.not_in = [70]", "70 % is 0.7"),
        ("not = { any = [{ history.support.gt = 2 }] }", "wanted a number from 0 to 1"),
        ("history.votes.gte = -1", "wanted a number of 0 or more"),
        ("history.skips.lt = -0.5", "wanted a number of 0 or more"),
        ("signal.user_report.count.gte = -1", "wanted a number of 0 or more"),
        ("signal.sentiment.lt = -50", "wanted a number from -1 to 1"),
        ("signal.csat = 6", "wanted a number from 1 to 5"),
        ("signal.chargeback = 1", "signal.chargeback.eq is 1; wanted true or false"),
        ("signal.chargeback.gte = true", "have an order"),
        ("time.within = 'office'", "time.within is 'office'; the policy has no calendar; add \\[calendars.office]"),
    ],
)
def test_a_value_that_a_field_never_has_is_refused_with_its_range(when: str, message: str):
    text = f"[[routing]]\nid = 'one'\nwhen = {{ {when} }}\nto = 'L1'\n[[routing]]\nid = 'rest'\nto = 'L1'\n"

    with pytest.raises(PolicyError, match=message):
        read_policy(text)


@pytest.mark.parametrize(
    "when", ["model.confidence.lt = 1", "model.margin.gte = 0", "data.amount.lt = -85", "history.votes = 0"]
)
def test_the_ends_of_a_range_and_task_fields_are_allowed(when: str):
    read_policy(f"[[routing]]\nid = 'one'\nwhen = {{ {when} }}\nto = 'L1'\n[[routing]]\nid = 'rest'\nto = 'L1'\n")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[sampling]\nrandom_share = 20", "20 % is 0.2"),
        ("[audit]\nshare = 15", "15 % is 0.15"),
        ("[gold]\npause_below = 60", "60 % is 0.6"),
        ("[consensus]\nsure = 80", "80 % is 0.8"),
        ("[promote]\nalpha = 5", "5 % is 0.05"),
        ("[promote]\nmax_loss = 2", "2 % is 0.02"),
        ("[tiers.L1]\nat_risk = 80", "80 % is 0.8"),
        ("[tiers.L1]\n[tiers.L2]\nprotocol = 'panel'\npanel = 3\nmin_agreement = 50", "50 % is 0.5"),
        ("[second_look]\nshare = 2", "2 % is 0.02"),
        ("[train]\ngrowth = 15", "less than or equal to 10"),
        ("[train]\ngrowth = inf", "less than or equal to 10"),
        ("[signals.risk]\nkind = 'number'\nlow = nan", "finite"),
    ],
)
def test_a_percentage_where_a_share_is_wanted_is_refused_with_the_share(text: str, hint: str):
    with pytest.raises(PolicyError, match=hint):
        read_policy(text)
