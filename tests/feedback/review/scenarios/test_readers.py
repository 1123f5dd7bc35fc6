"""Several readers of one case, on both platforms: two and a third, and three of whom one is always wrong."""

from __future__ import annotations

from feedback.policy import read_policy
from feedback.reports.review_report import measure_review
from feedback.review.review_task_content import FACTS, HISTORY, KEY
from tests.feedback.review.scenarios.scenario_checks import REST, list_review_texts, whole
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, FAY, World

READERS = """
[tiers.L1]
[tiers.L2]
protocol = "two-reader"
skills = ["german"]
[tiers.L3]
[second_look]
share = 0.0
[people."ada@example.com"]
tiers = ["L1"]
[people."ben@example.com"]
tiers = ["L1", "L2"]
skills = ["german"]
[people."cleo@example.com"]
tiers = ["L2"]
skills = ["german"]
[people."dan@example.com"]
tiers = ["L2"]
skills = ["english"]
[people."eva@example.com"]
tiers = ["L2"]
skills = ["german"]
[people."fay@example.com"]
tiers = ["L2"]
skills = ["german"]
""" + REST.format(rows=500, audit=0.0)


def test_two_readers_and_a_third_while_answers_that_do_not_count_open_the_case_again(world: World) -> None:
    site = world.site
    (task,) = site.add("ein Apfel")
    world.use(READERS, overlap=2)
    world.turn()
    world.disagree(task)
    review_project = site.review_project_of("L2")
    copy = world.case(task).review_task
    assert copy

    # nobody decides their own case, nobody without the skill, nobody who contradicts themself or gives no reason
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()
    assert "has answered this case before" in world.notes(task)[-1]
    world.review("L2", "fix", "tool", person=DAN, reason="boundary")
    world.turn()
    assert world.notes(task)[-1] == "lacks what this case needs: german"
    world.review("L2", "accept", "tool", person=CLEO)
    world.turn()
    assert world.notes(task)[-1] == "accepts, but nothing was shown"
    site.change(review_project, copy, person=CLEO, verdict="fix", label="tool")
    world.turn()
    assert "gives no reason" in world.notes(task)[-1]
    assert world.trail(task)[-4:] == ["refuse"] * 4
    assert [row.id for row in site.waiting(review_project, EVA)] == [copy]

    # she says it once more, with a reason: the first of two readers; the second is told nothing of it
    site.change(review_project, copy, person=CLEO, verdict="fix", label="tool", reason="boundary")
    world.turn()
    assert world.trail(task)[-1] == "review"
    assert len(list_review_texts(world, "L2", task)) == 2
    world.review("L2", "fix", "fruit", person=EVA, reason="boundary")
    world.turn()
    assert world.notes(task)[-1] == "two reviewers differ; a third decides"

    # the third reads what both said, and settles it
    (third,) = site.waiting(review_project, FAY)
    lines = [line["text"] for line in third.data[HISTORY]]
    assert "fix: fruit; Right label, wrong extent" in lines
    assert world.review("L2", "fix", "fruit", person=FAY, reason="boundary") == copy
    world.turn()
    assert (world.case(task).state, site.final(task)) == ("resolved", "fruit")

    # one who decided it changes their mind: another round, and another answer
    site.change(review_project, copy, person=FAY, verdict="fix", label="tool", reason="boundary")
    world.turn()
    case = world.case(task)
    assert (case.round, case.state, case.why) == (2, "queued", "the answer that decided it was changed")
    for person in (CLEO, EVA):
        world.review("L2", "accept", person=person)
        world.turn()
    assert (world.case(task).state, site.final(task), site.written(task)) == ("resolved", "tool", 2)
    whole(world)


PANEL = """
[[routing]]
id = "all"
to = "L2"
[tiers.L1]
[tiers.L2]
protocol = "panel"
panel = 3
[tiers.L3]
[second_look]
share = 0.0
honeypots = 0.0
""" + REST.format(rows=500, audit=0.0)


def test_one_who_is_always_wrong_is_found_and_changes_nothing(world: World) -> None:
    site = world.site
    tasks = site.add(*(f"a{number} apple" for number in range(6)))
    world.use(PANEL)
    world.turn()
    for person, label in ((CLEO, "fruit"), (DAN, "tool"), (EVA, "fruit")):
        for _ in tasks:
            world.review("L2", "fix", label, person=person, reason="boundary")
    for _ in range(2):
        world.turn()

    assert [site.final(task) for task in tasks] == ["fruit"] * 6
    dan = site.number(DAN)
    seen = measure_review(world.store, world.project, read_policy(PANEL), {}, control="")
    assert {row.person: row.compared for row in seen.people} == {site.number(row): 6 for row in (CLEO, DAN, EVA)}
    assert [row.upheld.value for row in seen.people] == [0.0, 1.0, 1.0]
    assert seen.unreliable == [dan]

    # a case whose answer is known now stands among new ones, and tells the same of him; nobody can tell it from others
    world.use(PANEL.replace("honeypots = 0.0", "honeypots = 1.0"))
    (new,) = site.add("a9 apple")
    world.turn()
    review_project = site.review_project_of("L2")
    waiting = site.waiting(review_project, DAN)
    (pot,) = [row for row in waiting if row.id != world.case(new).review_task]
    assert pot.data["text"] in {f"a{number} apple" for number in range(6)}
    assert pot.data[KEY].startswith("case-")
    world.review("L2", "answer", "tool", person=DAN, task=pot.id)
    for _ in range(2):
        world.turn()
    measured = measure_review(world.store, world.project, read_policy(PANEL), {}, control="")
    assert (measured.people[0].person, measured.people[0].compared) == (dan, 7)
    assert site.final(next(task for task in tasks if f"a{tasks.index(task)} apple" == pot.data["text"])) == "fruit"

    # a share of what people decided alone is looked at again by others, who see nothing of it
    world.use(_first_tier(PANEL))
    (once,) = site.add("b1 pear")
    world.turn()
    site.answer(once, "tool", person=ADA)
    for _ in range(2):
        world.turn()
    copy = next(row for row in site.waiting(review_project, CLEO) if row.id == world.case(once).review_task)
    assert "tool" not in str({name: value for name, value in copy.data.items() if name not in ("text", FACTS)})
    assert not site.shown(copy.id)
    for person in (CLEO, EVA, FAY):
        world.review("L2", "answer", "fruit", person=person, task=copy.id)
    for _ in range(2):
        world.turn()
    assert site.final(once) == "fruit"
    whole(world)


def _first_tier(policy: str) -> str:
    """The same people, but new tasks are asked in the first tier, and each answer is looked at again."""
    return policy.replace('to = "L2"', 'to = "L1"').replace("share = 0.0\nhoneypots", "share = 1.0\nhoneypots")
