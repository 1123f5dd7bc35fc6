"""hitl policy, why and signal, as an admin uses them."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedback.cli import app
from feedback.errors import NotConfirmed, NotConnected, PolicyError
from feedback.policy import read_policy
from feedback.store import CurrentDecision, Decision, ProjectRow, Store
from feedback.store.log.events import canonical_json, event_from_task
from ml_backend.records import Task

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="c" toName="text">'
    '<Choice value="spam"/><Choice value="ham"/></Choices></View>'
)
OLD = """
[[routing]]
id = "big"
when = { data.amount.gte = 9000 }
to = "L2"
reason = "a big amount"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
[tiers.L2]
"""
NEW = OLD.replace("9000", "3000").replace('to = "L2"', 'to = "auto"\ntier = "L2"')


@pytest.fixture
def home(data_dir: Path) -> Path:
    (data_dir / "old.toml").write_text(OLD)
    (data_dir / "new.toml").write_text(NEW)
    return data_dir


@pytest.fixture
def store_with_tasks(store: Store, home: Path) -> Store:
    store.projects.save_project(ProjectRow("7", "refunds", CONFIG))
    store.secrets.save_secret("draws", "the same draws in every run")  # task 10 is no audit task
    data = [{"text": f"t{number}", "amount": number * 1000} for number in range(10)]
    store.append([event_from_task(Task(number + 1, row, "7"), "poll") for number, row in enumerate(data)])
    return store


def hitl(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def decided(store: Store) -> None:
    """What a turn under OLD records."""
    policy = read_policy(OLD)
    store.policies.create_policy("7", policy)
    contents = store.tasks.list_content_hashes("7")
    big = CurrentDecision("big", "L2", policy.hash, "", "", "normal", "default", None)
    default = CurrentDecision("default", "L1", policy.hash, "", "", "normal", "default", None)
    rows = [Decision(task, 0.0, contents[task], big if task == 10 else default, {"time.age": 5.0}) for task in contents]
    store.decisions.create_decisions("7", rows)


def test_a_policy_is_checked_against_the_project(home: Path, store_with_tasks: Store):
    (home / "new.toml").write_text(NEW.replace("data.amount", "data.amuont"))
    done = hitl("policy", "check", "7", home / "new.toml")

    assert done.exit_code == 0
    assert "auto is refused for now: no certificate allows it yet. The tasks go to L2." in done.output
    assert "no task has data.amuont; did you mean data.amount?" in done.output


def test_a_condition_without_a_source_is_refused_by_check(home: Path):
    (home / "new.toml").write_text(OLD.replace("data.amount.gte = 9000", "model.set_size.gte = 2"))

    with pytest.raises(PolicyError, match="conformal sets do not exist yet"):
        hitl("policy", "check", home / "new.toml")


def test_a_policy_is_explained_from_a_file_and_from_the_store(home: Path, store_with_tasks: Store):
    hitl("policy", "activate", "7", home / "old.toml", "--yes")
    from_file, from_store = hitl("policy", "explain", home / "old.toml"), hitl("policy", "explain", "7")

    assert from_file.output == from_store.output
    assert "data.amount is at least 9,000: people in L2 decide. Reason: a big amount." in from_file.output


def test_a_simulation_changes_nothing_and_prints_the_differences(home: Path, store_with_tasks: Store):
    hitl("policy", "activate", "7", home / "old.toml", "--yes")
    decided(store_with_tasks)
    done = hitl("policy", "simulate", "7", home / "new.toml")
    active = store_with_tasks.projects.get_project("7")
    body = json.loads(hitl("policy", "simulate", "7", home / "new.toml", "--json").output)

    assert "10 decisions in one moment, too short a time for a daily rate; 6 would go elsewhere." in done.output
    assert "automation 0 % -> 70 % asked for, certified error: none yet (no certificate allows it yet" in done.output
    assert "L2 load: +6 answers (1 -> 7)" in done.output
    assert active is not None
    assert active.options["policy"]["routing"][0]["when"] == {"data": {"amount": {"gte": 9000}}}
    assert (body["after"]["auto"], body["moved"]) == (7, 6)


def test_before_the_first_decision_the_tasks_as_they_are_are_simulated(home: Path, store_with_tasks: Store):
    done = hitl("policy", "simulate", "7", home / "new.toml")

    assert "10 tasks as they are now" in done.output


def test_activating_stores_versions_and_prints_the_previous_one(home: Path, store_with_tasks: Store):
    first = hitl("policy", "activate", "7", home / "old.toml", "--yes")
    second = hitl("policy", "activate", "7", home / "new.toml", "--yes")
    history = json.loads(hitl("policy", "history", "7", "--json").output)
    old, new = read_policy(OLD), read_policy(NEW)

    assert f"Policy {old.hash} is active in project 7" in first.output
    assert f"Policy {new.hash} is active in project 7; before: {old.hash}." in second.output
    assert [(entry["hash"], entry["before"]) for entry in history] == [(new.hash, old.hash), (old.hash, "")]
    assert json.loads(hitl("policy", "show", "7").output) == new.model_dump(mode="json")
    assert json.loads(hitl("policy", "show", "7", "--hash", old.hash).output) == old.model_dump(mode="json")
    assert store_with_tasks.jobs.claim_job("w", lease_s=9, kinds=("turn",)) is not None


def test_a_policy_is_shown_as_a_file_that_activates_to_the_same_hash(home: Path, store_with_tasks: Store):
    hitl("policy", "activate", "7", home / "old.toml", "--yes")
    (home / "shown.toml").write_text(hitl("policy", "show", "7", "--toml").output)
    checked = hitl("policy", "check", "7", home / "shown.toml")
    again = hitl("policy", "activate", "7", home / "shown.toml")

    assert f"its hash is {read_policy(OLD).hash}." in checked.output
    assert "changes nothing." in again.output  # so that nobody is asked
    assert again.exit_code == 0
    assert len(json.loads(hitl("policy", "history", "7", "--json").output)) == 1


def test_a_file_is_compared_with_the_active_policy_or_with_another_file(home: Path, store_with_tasks: Store):
    hitl("policy", "activate", "7", home / "old.toml", "--yes")
    active = hitl("policy", "diff", "7", home / "new.toml").output.splitlines()
    files = hitl("policy", "diff", home / "old.toml", home / "new.toml").output.splitlines()
    (change, *_) = json.loads(hitl("policy", "diff", home / "old.toml", home / "new.toml", "--json").output)

    assert active == files == [
        "routing.big.when: { data.amount.gte = 9000 } -> { data.amount.gte = 3000 }",
        'routing.big.to: "L2" -> "auto"',
        'routing.big.tier: "" -> "L2"',
    ]  # fmt: skip
    assert (change["key"], change["kind"]) == ("routing.big.when", "changed")
    assert "no difference" in hitl("policy", "diff", "7", home / "old.toml").output


def test_activating_says_what_it_will_do_and_does_nothing_without_a_yes(home: Path, store_with_tasks: Store):
    with pytest.raises(NotConfirmed, match=r"nobody can be asked: Activate it in project 7\?") as refused:
        hitl("policy", "activate", "7", home / "old.toml")
    unchanged = store_with_tasks.policies.list_activations("7")
    done = hitl("policy", "activate", "7", home / "old.toml", "--yes")

    assert "--yes" in refused.value.hint
    assert unchanged == []
    assert "  • tasks that nobody has answered and that are kept back from L1: 0 -> 1" in done.output
    assert "  • a review project is made in Label Studio for L2 as soon as there is a case" in done.output
    assert '  • routing.default is new: to = "L1"' in done.output
    assert len(store_with_tasks.policies.list_activations("7")) == 1


@pytest.mark.parametrize(("typed", "active"), [("n\n", 0), ("y\n", 1)])
def test_activating_asks_on_a_terminal(home: Path, store_with_tasks: Store, typed: str, active: int):
    terminal, ours = pty.openpty()
    os.write(terminal, typed.encode())
    command = [sys.executable, "-m", "feedback", "policy", "activate", "7", str(home / "old.toml")]
    done = subprocess.run(command, stdin=ours, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours)
    os.close(terminal)

    assert "Activate it in project 7? [y/N]" in done.stderr
    assert done.returncode == 1 - active
    assert len(store_with_tasks.policies.list_activations("7")) == active


def test_a_policy_is_explained_for_a_project_that_is_not_connected_yet(home: Path, store: Store):
    done = hitl("policy", "explain", 12, home / "old.toml")

    assert "people in L2 decide. Reason: a big amount." in done.output
    assert "The labels of project 12 were not read, because it is not connected yet" in done.stderr
    with pytest.raises(NotConnected, match="project '12' is not known"):
        hitl("policy", "explain", 12)


def test_thresholds_of_a_project_without_tasks_or_a_model_are_one_sentence(home: Path, store_with_tasks: Store):
    store_with_tasks.projects.save_project(ProjectRow("8", "empty", CONFIG))

    assert hitl("policy", "thresholds", "8").output == (
        "No threshold can be compared: there is no task yet, or the model has learned from each of them.\n"
    )
    assert hitl("policy", "thresholds", "7").output == (
        "No threshold can be compared: no model has predicted any of them yet.\n"
    )
    assert json.loads(hitl("policy", "thresholds", "8", "--json").output)["steps"] == []
    assert hitl("policy", "simulate", "8", home / "new.toml").output.startswith(
        "There is no task yet, so nothing can be simulated."
    )


def test_an_error_of_check_and_of_activate_names_line_and_column(home: Path, store_with_tasks: Store):
    (home / "wrong.toml").write_text('[sampling]\n  strategy = "margn"\n[tiers.L1]\n[tiers.L2]\nresolve = "10m"')

    with pytest.raises(PolicyError, match=r"line 2, column 3: sampling\.strategy: .*did you mean 'margin'"):
        hitl("policy", "check", home / "wrong.toml")
    with pytest.raises(PolicyError, match=r"line 4, column 8: tiers\.L2: its clock of 10m"):
        hitl("policy", "activate", "7", home / "wrong.toml")


def test_empty_lists_of_signals_say_so(store_with_tasks: Store):
    assert hitl("signal", "list", "7").output == "No signal has come in project 7.\n"
    assert hitl("signal", "list", "7", "--task", 3).output == ("No signal has come about task 3 of project 7.\n")
    waiting = hitl("signal", "list", "7", "--waiting").output
    assert waiting == "No signal waits for its task in project 7.\n"
    assert "No late outcome has come in project 7" in hitl("signal", "outcomes", "7").output
    assert json.loads(hitl("signal", "outcomes", "7", "--json").output) == []


def test_a_clock_shorter_than_the_lock_is_a_warning_without_a_project(home: Path):
    (home / "short.toml").write_text('[tiers.L1]\n[tiers.L2]\nresolve = "10m"\n')

    assert (
        "warning: line 2, column 8: tiers.L2: its clock of 10m" in hitl("policy", "check", home / "short.toml").output
    )


def test_the_json_schema_names_every_section():
    schema = json.loads(hitl("policy", "schema").output)

    assert set(read_policy("").model_dump()) == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_why_shows_rule_inputs_and_replay(home: Path, store_with_tasks: Store):
    decided(store_with_tasks)
    done = hitl("why", "7", 10)
    body = json.loads(hitl("why", "7", 10, "--json").output)

    assert "goes to L2" in done.output
    assert "because a big amount" in done.output
    assert "yes  data.amount is at least 9,000 (is 9000)" in done.output
    assert "replayed from the recorded inputs: the same result" in done.output
    assert body["decisions"][0]["same"] is True


def test_why_fails_where_a_recorded_decision_was_altered(home: Path, store_with_tasks: Store):
    decided(store_with_tasks)
    (made,) = store_with_tasks.decisions.list_decisions("7", task=10)
    altered = CurrentDecision("default", "L1", made.standing.policy, "", "", "normal", "default", None)
    store_with_tasks.decisions.create_decisions("7", [Decision(10, 1.0, made.content, altered, made.inputs)])
    done = hitl("why", "7", 10)

    assert done.exit_code == 1
    assert "REPLAY DIFFERS: the replay gives big → L2" in done.output


def test_why_reports_that_nothing_was_decided(home: Path, store_with_tasks: Store):
    assert "the policy has no rules." in hitl("why", "7", 3).output
    assert "the task is unknown" in hitl("why", "7", 99).output
    assert hitl("why", 3).output == hitl("why", "7", 3).output  # it is the only project with that task
    with pytest.raises(NotConnected, match="no project has a task 99; known projects: 7"):
        hitl("why", 99)


def test_a_signal_is_pushed_once_and_listed(home: Path, store_with_tasks: Store):
    first = hitl("signal", "push", "7", "user_report", "--value", "scam", "--task", 3, "--id", "r1")
    again = hitl("signal", "push", "7", "user_report", "--value", "scam", "--task", 3, "--id", "r1")
    flag = hitl("signal", "push", "7", "chargeback", "--task", 3)
    listed = hitl("signal", "list", "7")
    outcomes = hitl("signal", "outcomes", "7")

    assert (first.output, again.output) == ("stored: r1\n", "already known: r1\n")
    assert flag.output.startswith("stored: ")
    assert "user_report = 'scam' about task 3, from hitl signal" in listed.output
    assert "chargeback: 1, mean 1.0; model none, policy none, decision none" in outcomes.output


def test_a_text_that_looks_like_a_number_stays_a_text(home: Path, store_with_tasks: Store):
    hitl("signal", "push", "7", "user_report", "--value", "4711", "--task", 3, "--id", "r1")
    hitl("signal", "push", "7", "sentiment", "--value", "-0.5", "--task", 3, "--id", "r2")

    assert [entry.value for entry in store_with_tasks.signals.list_signals("7")] == [-0.5, "4711"]


def test_the_content_hash_of_a_decision_is_that_of_the_store(store_with_tasks: Store):
    data = {"text": "t0", "amount": 0}

    assert store_with_tasks.tasks.list_content_hashes("7")[1] == hashlib.sha256(canonical_json(data)).hexdigest()


def test_a_policy_with_an_unknown_name_is_refused_by_check_and_activate(home: Path, store_with_tasks: Store):
    (home / "wrong.toml").write_text('[consensus]\nmethod = "dawid_skeen"\n[[labelling_functions]]\n'
                                     'name = "x"\nfunction = "no_such_package:rule"')  # fmt: skip

    with pytest.raises(PolicyError, match=r"did you mean 'dawid_skene'.*no_such_package"):
        hitl("policy", "check", home / "wrong.toml")
    with pytest.raises(PolicyError, match="did you mean 'dawid_skene'"):
        hitl("policy", "activate", "7", home / "wrong.toml")


def test_a_policy_is_checked_for_a_project_that_is_not_connected_yet(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Without Label Studio it says what it could not check, and checks the rest."""
    unset = hitl("policy", "check", 12, home / "old.toml")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef0123")
    away = hitl("policy", "check", 12, home / "old.toml")

    for done in (unset, away):
        assert done.exit_code == 0
        assert "warning: project 12: its labels and the fields of its tasks were not checked" in done.output
    assert "LABEL_STUDIO_URL, LABEL_STUDIO_API_KEY not set" in unset.output
    (home / "wrong.toml").write_text("[sampling]\nstrategy = 'margn'")
    with pytest.raises(PolicyError, match="did you mean 'margin'"):
        hitl("policy", "check", 12, home / "wrong.toml")


def test_the_secret_of_notifications_is_printed_and_replaced(home: Path, store: Store):
    first, again = (hitl("policy", "secret", "crm").output.strip() for _ in range(2))
    other = hitl("policy", "secret", "crm", "--new").output.strip()

    assert first == again != other
    assert len(first) >= 20
    assert store.secrets.get_secret("notify crm") == other
