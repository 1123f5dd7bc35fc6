"""hitl cases, case and overrides, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedback.cli import app
from feedback.reports.case_report import UnknownState
from feedback.review.case_state_machine import NoSuchMove
from ml_backend.records import Answer
from tests.feedback.review.test_explanations import promote
from tests.feedback.store.repositories.test_cases import an_override
from tests.support.review_world import BEN, CLEO, PROJECT, World, open_case, policy_text

pytestmark = pytest.mark.usefixtures("data_dir")


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_what_waits_is_listed_and_what_is_done_is_not(world: World):
    task = open_case(world)
    (row,) = json.loads(run("cases", PROJECT, "--json"))["cases"]
    assert (row["task"], row["tier"], row["state"]) == (task, "L2", "queued")
    assert "2 people differ" in " ".join(run("cases", PROJECT).split())
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()

    assert json.loads(run("cases", PROJECT, "--json"))["cases"] == []
    assert "Nothing waits" in run("cases", PROJECT)
    assert json.loads(run("cases", PROJECT, "--all", "--json"))["total"] == 1


def test_a_question_is_answered_and_everybody_sees_the_answer(world: World):
    task = open_case(world)
    number = str(world.case(task).id)
    world.review("L2", "guideline", person=CLEO, reason="guideline_gap", comment="what of nuts?")
    world.turn()
    assert "what of nuts?" in run("case", number)

    run("case", number, "--answered", "A nut is a fruit.")
    world.turn()

    assert world.case(task).state == "queued"
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), 9)
    assert "A nut is a fruit." in str(copy.data)


def test_an_open_blind_case_shows_no_answer_unless_asked(world: World):
    task = open_case(world, l2='blind = true\nprotocol = "two-reader"', l3="")
    world.review("L2", "answer", "tool", person=CLEO, comment="a hammer is a tool")
    world.turn()
    number = str(world.case(task).id)
    hidden = [
        run("case", number),
        run("case", number, "--json"),
        run("cases", PROJECT, "--json"),
        run("why", str(task)),
    ]
    shown = [run("case", number, "--reveal"), run("case", number, "--json", "--reveal")]

    assert ["tool" in text or "fruit" in text for text in hidden] == [False] * 4
    assert "--reveal shows all" in hidden[0]
    assert ["tool" in text for text in shown] == [True, True]
    world.review("L2", "answer", "tool", person=BEN + 2)
    world.turn()
    assert "tool" in run("case", number)


def test_the_decision_about_an_open_blind_case_does_not_tell_the_models_answer(world: World):
    rules = '[[routing]]\nid = "sure"\nwhen = { model.confidence.gte = 0.5, model.label = "fruit" }\nto = "L2"\n'
    rules += '[[routing]]\nid = "rest"\nto = "L1"\n'
    world.use(policy_text(l2="blind = true", l3="", more=rules))
    promote(world)
    (task,) = world.site.add("apple juice")
    world.turn()
    told = run("why", str(task))
    (decision,) = json.loads(run("why", str(task), "--json"))["decisions"]
    world.review("L2", "answer", "tool", person=CLEO)
    world.turn()

    assert "fruit" not in told
    assert "what the rules saw is hidden until the blind case is decided" in told
    assert (decision["decision"]["inputs"], decision["clauses"], decision["prediction"]) == ({}, [], {})
    assert "predicted fruit" in run("why", str(task))


def test_a_case_is_sent_up_by_hand_with_its_reason(world: World):
    task = open_case(world)
    run("case", str(world.case(task).id), "--escalate", "the customer is a minister")

    assert (world.case(task).tier, world.case(task).why) == ("L3", "the customer is a minister")


def test_figures_and_forecasts_are_printed_and_as_json(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    seen = json.loads(run("cases", PROJECT, "--figures", "--forecast", "--json"))

    assert [(metrics["tier"], metrics["cases"]) for metrics in seen["tiers"]] == [("L1", 1), ("L2", 1), ("L3", 0)]
    assert len(seen["forecast"]) == 3
    assert "L2: longest wait ahead" in run("cases", PROJECT, "--figures", "--forecast")
    assert json.loads(run("case", str(world.case(task).id), "--json"))["case"]["answer"] == "tool"


def test_reviewers_whose_differences_nobody_settled_are_said_to_be_unknown(world: World):
    open_case(world)
    people = json.loads(run("cases", PROJECT, "--figures", "--json"))["people"]
    shown = " ".join(run("cases", PROJECT, "--figures").split())

    assert [(row["person"], row["compared"], row["undecided"]) for row in people] == [(1, 1, 1), (2, 1, 1)]
    assert all(row["upheld"]["low"] == 0.0 and row["upheld"]["high"] == 1.0 for row in people)
    assert "Not known yet for person 1 (1 of 1), person 2 (1 of 1): others answered differently" in shown


@pytest.mark.slow
def test_why_lists_what_people_did_with_a_task(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", comment="see page 3")
    world.turn()
    lines = [line.partition("  ")[2] for line in run("why", PROJECT, str(task)).splitlines()]
    story = [line.partition("UTC  ")[2] or line for line in lines if line]

    review_project, copy = world.site.review_project_of("L2"), world.case(task).review_task
    assert story == [
        "opened at L2: 2 people differ, and no more are asked",
        f"published for review at L2: task {copy} of project {review_project}",
        (
            "person 2 at L2: fix, tool; Right label, wrong extent "
            "(not counted: has answered this case before, and nobody decides their own case)"
        ),
        (
            "open again, because the review of person 2 does not count: has answered this case before, "
            "and nobody decides their own case"
        ),
        "person 3 at L2: fix, tool; Right label, wrong extent; see page 3",
        "decided at L2 by person 3: fix: Right label, wrong extent",
        "closed: written as ground truth",
        "Now resolved: tool (the answer is in the source project)",
    ]
    (case,) = json.loads(run("why", PROJECT, str(task), "--json"))["cases"]
    assert [step["event"] for step in case["events"]] == ["open", "assign", "refuse", "decide", "write"]


def test_overrides_are_exported_and_never_as_a_formula(world: World, tmp_path: Path):
    open_case(world)
    evil = Answer("choices", ("=cmd()",))
    world.store.overrides.save_overrides(
        [an_override(1, project=PROJECT, answer=evil), an_override(2, project=PROJECT, changed=False)]
    )
    (row,) = list(csv.DictReader(io.StringIO(run("overrides", PROJECT, "--csv", "-"))))
    run("overrides", PROJECT, "--kept", "--csv", str(tmp_path / "out.csv"))

    assert (row["answer"], row["shown"], row["reason"], row["blind"]) == ("'=cmd()", "spam", "boundary", "False")
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert "of 2 answers to predictions that people saw" in run("overrides", PROJECT)


def test_answers_of_people_who_saw_no_prediction_change_none(world: World):
    open_case(world)
    blind = [
        an_override(number, project=PROJECT, changed=number > 4, blind=True, reason="not given")
        for number in range(3, 8)
    ]
    world.store.overrides.save_overrides([an_override(1, project=PROJECT), *blind])
    text = run("overrides", PROJECT)
    first_tier = json.loads(run("cases", PROJECT, "--figures", "--json"))["tiers"][0]

    assert "of 1 answer to predictions that people saw" in text
    assert "5 answers of people who saw no prediction changed nothing" in text
    assert "Without a reason: 0 of 1" in text
    assert first_tier["no_reason"]["value"] == 0.0
    assert len(json.loads(run("overrides", PROJECT, "--json"))["rows"]) == 1
    assert len(run("overrides", PROJECT, "--csv", "-").splitlines()) == 2
    assert len(run("overrides", PROJECT, "--csv", "-", "--kept").splitlines()) == 7
    world.store.overrides.save_overrides([an_override(1, project=PROJECT, blind=True)])
    assert "Without a reason" not in run("overrides", PROJECT)


def test_only_the_question_of_a_waiting_case_is_answered(world: World):
    number = world.case(open_case(world)).id

    with pytest.raises(NoSuchMove, match=rf"case {number} asks nothing: it is queued at L2\."):
        CliRunner().invoke(app, ["case", str(number), "--answered", "yes"], catch_exceptions=False)


def test_a_task_with_nothing_but_a_clock_is_no_case_in_the_list(world: World):
    task = open_case(world, l1='resolve = "2d"')
    others = world.site.add("b1 banana", "c1 cherry")
    world.turn()
    listed, clocked = (json.loads(run("cases", PROJECT, "--json", *more)) for more in ((), ("--clocked",)))
    text = " ".join(run("cases", PROJECT).split())

    assert [row["task"] for row in listed["cases"]] == [task]
    assert (listed["total"], listed["clocked"]) == (1, 2)
    assert "Not listed: 2 tasks of L1 with a running clock and nothing else" in text
    assert f"hitl cases {PROJECT} --clocked" in text
    assert [row["task"] for row in clocked["cases"]] == list(others)
    assert "Not listed" not in run("cases", PROJECT, "--clocked")


def test_cases_are_filtered_before_they_are_cut_into_pages(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABEL_STUDIO_PUBLIC_URL", "http://labels.example/ls/")
    tasks = [open_case(world, text) for text in ("a1 apple red", "b1 banana", "c1 cherry")]
    world.turn()
    first, second, third = (
        json.loads(run("cases", PROJECT, "--json", "--limit", "2", "--page", page))["cases"] for page in "129"
    )
    found = {
        name: json.loads(run("cases", PROJECT, "--json", *options))["total"]
        for name, *options in (
            ("tier", "--tier", "L2"), ("no tier", "--tier", "L3"), ("state", "--state", "queued"),
            ("no state", "--state", "waiting"), ("person", "--person", str(BEN)), ("nobody", "--person", "99"),
            ("late", "--late"),
        )
    }  # fmt: skip
    case = world.case(tasks[0])

    assert [row["task"] for row in first + second] == tasks
    assert third == second  # beyond the last page
    assert "Page 1 of 2, 3 cases. The next: --page 2." in run("cases", PROJECT, "--limit", "2")
    expected = {"tier": 3, "no tier": 0, "state": 3, "no state": 0, "person": 3, "nobody": 0, "late": 0}
    assert found == expected
    assert "No case matches." in run("cases", PROJECT, "--tier", "L3")
    url = f"http://labels.example/ls/projects/{case.review_project}/data?task={case.review_task}"
    assert first[0]["url"] == url
    assert f"review task: {url}" in run("case", str(case.id))
    with pytest.raises(UnknownState, match="'quued' is no state of a case"):
        CliRunner().invoke(app, ["cases", PROJECT, "--state", "quued"], catch_exceptions=False)
