"""hitl people, gold and relabel, as an admin uses them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedback.annotators.gold import load_gold_tasks
from feedback.cli import app
from feedback.cli.relabel import renamed
from feedback.errors import VotesError
from feedback.policy import read_policy
from feedback.project.guidelines import record_guideline
from feedback.store import ProjectRow, Store
from feedback.store.log.events import events_from_task
from ml_backend.codecs import get_codec
from ml_backend.label_config import read_label_config
from ml_backend.records import Annotation, Answer, Task

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="c" toName="text">'
    '<Choice value="spam"/><Choice value="ham"/><Choice value="advert"/></Choices></View>'
)
CONTROL = read_label_config(CONFIG).control()
AT = "2026-01-01T00:00:{:02d}Z"


pytestmark = pytest.mark.usefixtures("data_dir")


@pytest.fixture
def store_with_votes(store: Store) -> Store:
    store.projects.save_project(ProjectRow("7", "mail", CONFIG))
    for number in range(1, 21):
        task = Task(number, {"text": f"t{number}"}, "7", created_at=AT.format(0), updated_at=AT.format(30))
        store.append(events_from_task(task, [annotation(number, person) for person in (4, 5)], source="poll"))
    return store


def annotation(task: int, person: int) -> Annotation:
    """Person 4 is always right (odd tasks are spam), person 5 says spam to everything."""
    label = "spam" if person == 5 or task % 2 else "ham"
    result = get_codec("choices").encode(Answer("choices", (label,)), CONTROL, None)
    at = AT.format(10 + task)
    return Annotation(100 * person + task, task, "7", person, tuple(result), updated_at=at, created_at=at)


def hitl(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def gold_file(folder: Path, n: int = 10) -> Path:
    rows = [f"{task},{'spam' if task % 2 else 'ham'}" for task in range(1, n + 1)]
    (folder / "gold.csv").write_text("\n".join(["task,gold", *rows]) + "\n")
    return folder / "gold.csv"


def test_gold_is_added_listed_and_retired(store_with_votes: Store, tmp_path: Path):
    added = hitl("gold", "add", 7, gold_file(tmp_path))
    retired = hitl("gold", "retire", 7, 2, 99)
    listed = json.loads(hitl("gold", "list", 7, "--json").stdout)

    assert "10 gold tasks" in added.stdout
    assert "Retired: 2" in retired.stdout
    assert [row["state"] for row in listed[:3]] == ["asked", "retired", "asked"]
    assert (listed[0]["answer"], listed[0]["answers"], listed[0]["right"]) == ("spam", 2, 2)
    assert (listed[1]["answer"], listed[1]["right"]) == ("ham", 1)
    assert len(load_gold_tasks(store_with_votes, "7")) == 10
    assert "task 1: spam, 2 of 2 right" in hitl("gold", "list", 7).stdout


def test_a_gold_file_with_an_unknown_label_changes_nothing(store_with_votes: Store, tmp_path: Path):
    (tmp_path / "bad.csv").write_text("task,gold\n1,spam\n2,stone\n")
    with pytest.raises(VotesError, match="stone"):
        hitl("gold", "add", 7, tmp_path / "bad.csv")
    assert load_gold_tasks(store_with_votes, "7") == {}


def test_a_tolerance_above_one_is_for_numbers_only(store_with_votes: Store, tmp_path: Path):
    with pytest.raises(VotesError, match=r"--tolerance is 1\.5; answers to c are compared by a distance from 0 to 1"):
        hitl("gold", "add", 7, gold_file(tmp_path), "--tolerance", "1.5")
    assert load_gold_tasks(store_with_votes, "7") == {}
    hitl("gold", "add", 7, gold_file(tmp_path), "--tolerance", "1.0")

    rating = '<View><Text name="t" value="$text"/><Rating name="stars" toName="t" maxRating="5"/></View>'
    store_with_votes.projects.save_project(ProjectRow("7", "mail", rating))
    (tmp_path / "gold.csv").write_text("task,gold\n1,4\n")
    hitl("gold", "add", 7, tmp_path / "gold.csv", "--tolerance", "1.5")

    assert load_gold_tasks(store_with_votes, "7")[1].tolerance == 1.5


def test_a_calibration_set_is_asked_of_everybody_and_has_no_right_answer(store_with_votes: Store):
    done = hitl("gold", "ask", 7, 3, 4)
    listed = json.loads(hitl("gold", "list", 7, "--json").stdout)

    assert "2 tasks of project 7 are given to everybody" in done.stdout
    assert [(row["task"], row["answer"], row["right"], row["answers"]) for row in listed] == [
        (3, None, None, 2),
        (4, None, None, 2),
    ]
    assert "task 3: given to everybody, 2 answers" in hitl("gold", "list", 7).stdout
    with pytest.raises(VotesError, match="no task 99"):
        hitl("gold", "ask", 7, 99)


def test_agreement_before_and_since_a_change_of_the_guideline_is_shown(store_with_votes: Store):
    row = store_with_votes.projects.get_project("7")
    store_with_votes.policies.activate_policy(row, read_policy("[overlap]\nshare = 1.0"), who="test", now_s=0.0)
    change_s = datetime(2026, 1, 1, 0, 0, 20, 500_000, tzinfo=UTC).timestamp()
    for instruction, at_s in (("", 0.0), ("mail that sells is spam", change_s)):
        body = {"label_config": CONFIG, "expert_instruction": instruction}
        record_guideline(store_with_votes, "7", body, now_s=at_s)

    shown = hitl("agree", 7).stdout

    written = json.loads(hitl("agree", 7, "--json").stdout)["by_guideline"]
    assert [(name, figure["items"]) for name, figure in written.items()] == [
        ("before 2026-01-01", 10),
        ("since 2026-01-01", 10),
    ]
    assert "guideline" in shown
    assert "since 2026-01-01" in shown


def test_people_are_compared_with_gold_and_can_have_pseudonyms(store_with_votes: Store, tmp_path: Path):
    hitl("gold", "add", 7, gold_file(tmp_path))
    found = json.loads(hitl("people", 7, "--json").stdout)
    unnamed = json.loads(hitl("people", 7, "--json", "--pseudonyms").stdout)

    assert [(row["person"], row["accuracy"]["value"], row["against"]) for row in found] == [
        (5, 0.5, "gold"),
        (4, 1.0, "gold"),
    ]
    assert found[0]["accuracy"]["low"] < 0.5 < found[0]["accuracy"]["high"]
    assert [row["person"][:7] for row in unnamed] == ["Person ", "Person "]
    assert len({row["person"] for row in unnamed}) == 2
    reported = json.loads(hitl("agree", 7, "--pseudonyms", "--json").stdout)
    assert {row["worker"] for row in reported["annotators"]} == {row["person"] for row in unnamed}
    rows = [
        f"{who},{task},{'ab'[(task + (who == 'ann') * (task < 3)) % 2]}" for task in range(20) for who in ("ann", "bob")
    ]
    (tmp_path / "votes.csv").write_text("\n".join(["worker,task,label", *rows]) + "\n")
    written = hitl("agree", "--votes", tmp_path / "votes.csv", "--pseudonyms", "--json").stdout
    assert len(json.loads(written)["pairs"]) == 1
    assert "ann" not in written.replace("annotators", "")
    assert "bob" not in written
    assert "gold" in hitl("people", 7).stdout
    assert "10 of 10: 50 % (19 to 81 %)" in hitl("people", 7).stdout


def test_relabel_reports_its_changes_and_refuses_invalid_options(store_with_votes: Store):
    renamed = hitl("relabel", 7, "--where", "label=ham", "--map", "ham=advert")
    stale = hitl("relabel", 7, "--where", "label=spam", "--split", "spam=ham,advert")

    assert "10 answers now have the label 'advert'" in renamed.stdout
    assert "Stale: 30 answers on 20 tasks" in stale.stdout
    assert "10 of these tasks were answered by everybody" in stale.stdout
    with pytest.raises(VotesError, match="not valid"):
        hitl("relabel", 7, "--where", "person=4")
    with pytest.raises(VotesError, match="same label"):
        hitl("relabel", 7, "--where", "label=spam", "--map", "ham=advert")


@pytest.mark.parametrize(
    "change", [("--map", "advert"), ("--map", "spam="), ("--split", "advert"), ("--split", "spam= ,")]
)
def test_a_change_that_names_no_new_label_makes_nothing_stale(store_with_votes: Store, change: tuple[str, str]):
    with pytest.raises(VotesError, match="same label"):
        hitl("relabel", 7, "--where", "label=spam", *change)

    assert store_with_votes.records.list_records("7", "relabel") == []


def test_a_label_may_hold_a_comma_or_an_equals_sign():
    assert renamed("a=b", mapped="a=b=Yes, surely", split="") == ("Yes, surely", ())
    assert renamed("spam", mapped="", split="spam= ads,fraud ,") == ("", ("ads", "fraud"))
    assert renamed("spam", mapped="", split="") == ("", ())
