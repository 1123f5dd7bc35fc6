from __future__ import annotations

import json

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy
from feedback.store.database.engine import dumps

FULL = """
[tiers.triage]
skip_means = "escalate"
[tiers.legal]
protocol = "two-reader"
resolve = "1h30m"
calendar = "office"
notify = ["crm"]
[tiers.board]
protocol = "panel"
panel = 3
[calendars.office]
timezone = "Europe/Berlin"
hours = ["09:00-12:00", "13:00-17:00"]
holidays = ["2026-12-25"]
[notify.crm]
url = "https://crm.example.com/hook"
[people."Ann@Example.com"]
tiers = ["legal", "board"]
skills = ["german"]
wage = 42
role = "approver"
[reasons]
not_fraud = "No fraud"
[feedback.fraud_type]
kind = "choice"
options = ["card", "identity"]
feature = true
entity = "customer_id"
"""


def test_tiers_keep_their_order_through_the_store():
    policy = read_policy(FULL)
    stored = Policy.model_validate(json.loads(dumps(policy.model_dump(mode="json"))))

    assert list(stored.tiers) == ["triage", "legal", "board"]
    assert stored == policy
    assert stored.hash == policy.hash
    assert (stored.first_tier, stored.tier_after("legal"), stored.tier_after("board")) == ("triage", "board", None)


def test_tiers_calendars_and_people_are_read_from_the_policy():
    policy = read_policy(FULL)
    person = policy.person("ann@example.com")

    assert person is not None
    assert (person.wage, person.role, person.tiers) == (42, "approver", ("legal", "board"))
    assert policy.tiers["legal"].resolve_s == 5400.0
    assert [tier.n_reviewers for tier in policy.tiers.values()] == [1, 2, 3]
    assert policy.reasons == {"not_fraud": "No fraud"}
    assert policy.feedback["fraud_type"].options == ("card", "identity")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tiers.L1]\nresovle = '4h'", "tiers.L1.resovle is not a key; did you mean tiers.L1.resolve"),
        ("[tiers.L1]\nresolve = '4 hours'", "tiers.L1.resolve: '4 hours' is no duration"),
        ("[tiers.L1]\ncalendar = 'office'", "tiers.L1.calendar is 'office'; add \\[calendars.office], there is none"),
        ("[tiers.L1]\nnotify = ['crm']", "tiers.L1.notify has 'crm'"),
        ("[tiers.L1]\nprotocol = 'panel'", 'protocol = "panel" wants panel = 2'),
        ("[tiers.L1]\npanel = 3", 'panel = 3 wants protocol = "panel"'),
        ("[calendars.c]\ntimezone = 'Mars/One'", "is no time zone"),
        ("[calendars.c]\ntimezone = '../etc/passwd'", "is no time zone"),
        ("[calendars.c]\nhours = ['17:00-09:00']", "is not in order"),
        ("[calendars.c]\nhours = ['09:00-17:00', '16:00-18:00']", "is not in order"),
        ("[calendars.c]\nhours = []", "no hours"),
        ("[calendars.c]\nhours = ['22:00-06:00']", 'for a night write "00:00-06:00" and "22:00-24:00"'),
        ("[calendars.c]\ndays = []", "calendars.c.days is empty"),
        ("[calendars.c]\nholidays = ['25.12.2026']", "is no date"),
        ("[calendars.c]\nholidays = [1]", "1 is no date"),
        ("[tiers.L1]\nactions = []", "tiers.L1.actions is empty"),
        ("[tiers.L1]\n[tiers.L2]\nactions = ['escalate']", "tiers.L2.actions: nobody can decide in the last tier"),
        ("[tiers.L1]\nresolve = '3651d'", "'3651d' is longer than ten years"),
        ("[tiers.L1]\n[tiers.L2]\nprotocol = 'panel'\npanel = 3\nmin_agreement = 1.0", "min_agreement is 1.0"),
        ('[people."a@b.c"]\nwage = inf', "people.a@b.c.wage is inf"),
        ("[costs]\nerror = inf", "costs.error is inf"),
        ("[reasons]", "reasons is empty"),
        ("[reasons]\na = 'Wrong'\nb = 'Wrong'", "two have the title 'Wrong'"),
        ("[feedback.f]\noptions = ['card', 'card', 'bank']", "an option is empty or exists twice"),
        ("[signals.human_review]\nkind = 'text'", "signals.human_review requests a human review"),
        ("[signals.risk]\nkind = 'number'\nlow = 1.0\nhigh = 0.0", "low = 1 is above high = 0"),
        ("[signals.risk]\nlow = 1.0", 'low and high need kind = "number"'),
        ("[routing]\nid = 'a'", r"wanted a list of them, each under \[\[routing\]\]"),
        ("[[routing]]\nid = 'größe'\nto = 'L1'", "a name has up to 64 letters"),
        ('[people.ann]\ntiers = ["L1"]', "people.ann is no e-mail address"),
        ('[people."a@b.c"]\ntiers = ["L7"]', "people.a@b.c.tiers has 'L7'; wanted one of L1"),
        ('[people."a@b.c"]\nrole = "root"', "people.a@b.c.role is 'root'"),
        ('[people."a@b.c"]\n[people."A@b.c"]', "has an address twice"),
        ("[feedback.f]\nkind = 'choice'", "needs two or more options"),
        ("[notify.crm]\nurl = 'file:///etc/passwd'", "notify.crm.url"),
        ("[rights]\ntier = 'L9'", "rights.tier is 'L9'"),
    ],
)
def test_a_wrong_section_is_refused_by_name(text: str, message: str):
    with pytest.raises(PolicyError, match=message):
        read_policy(text)
