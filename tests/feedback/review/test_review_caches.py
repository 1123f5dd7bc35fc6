"""What review keeps between turns is always equal to what a new process reads from the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.project.snapshot import ProjectSnapshot, SnapshotCache
from feedback.review.case_decisions import ChangedReviewCache
from feedback.review.case_triggers import SecondLookCache
from feedback.review.eligibility import EligibilityCache
from feedback.review.final_answers import FinalAnswerCache
from feedback.review.overrides import OverrideCache
from feedback.review.review_context import CaseCache
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusCache, ConsensusLabels
from feedback.training.model_cache import PredictionCache
from ml_backend.label_config import read_label_config
from tests.feedback.review.test_explanations import promote
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, open_world, policy_text
from tests.support.stores import count_queries

PEOPLE = (
    '[people."ada@example.com"]\ntiers = ["L1", "L2"]\n[people."ben@example.com"]\ntiers = ["L1"]\n'
    '[people."cleo@example.com"]\ntiers = ["L2", "L3"]\n[people."dan@example.com"]\ntiers = ["L2", "L3"]\n'
)
EMAILS = {
    ADA: "ada@example.com",
    BEN: "ben@example.com",
    CLEO: "cleo@example.com",
    DAN: "dan@example.com",
    EVA: "eva@x",
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["vote", "vote", "vote", "review", "review", "change", "add", "delete", "erase", "policy"]),
        st.integers(0, 4),
        st.sampled_from([ADA, BEN, CLEO, DAN, EVA]),
        st.sampled_from(["fruit", "tool"]),
    ),
    min_size=3,
    max_size=8,
)


class Caches:
    """One set of caches, as a worker keeps them."""

    def __init__(self) -> None:
        self.snapshots, self.consensus, self.final = SnapshotCache(), ConsensusCache(), FinalAnswerCache()
        self.eligible, self.cases, self.second_looks = EligibilityCache(), CaseCache(), SecondLookCache()
        self.changed_reviews = ChangedReviewCache()

    def snapshot(self, world: World) -> ProjectSnapshot:
        project = world.store.projects.get_project(PROJECT)
        assert project is not None
        config = read_label_config(TEXT_CONFIG)
        policy = world.store.policies.list_activations(PROJECT)[0].hash
        return self.snapshots.load(
            world.store, project, world.store.policies.get_policy(PROJECT, policy), config, config.control()
        )


def plain(labels: ConsensusLabels) -> object:
    return labels.settled, dict(labels.needs_more_votes)


def check(world: World, caches: Caches) -> None:
    store, snapshot = world.store, caches.snapshot(world)
    kept = caches.eligible.exclude(store, snapshot, EMAILS)
    new = EligibilityCache().exclude(store, snapshot, EMAILS)
    assert (tuple(kept.snapshot.votes), kept.excluded) == (tuple(new.snapshot.votes), new.excluded)

    final = caches.final.load(store, kept.snapshot)
    assert final == FinalAnswerCache().load(store, new.snapshot)
    labels = caches.final.apply(caches.consensus.decide(kept.snapshot), final, kept.snapshot)
    votes_alone = ConsensusCache().decide(new.snapshot)
    assert plain(labels) == plain(FinalAnswerCache().apply(votes_alone, final, new.snapshot))

    cases = caches.cases.read(store, PROJECT)
    assert cases.by_task == {case.task: case for case in store.cases.list_cases(PROJECT)}
    assert caches.second_looks.list_drawn(snapshot, labels) == SecondLookCache().list_drawn(snapshot, labels)
    champion = world.loop._services.champions.get(PROJECT)
    before = store.overrides.list_overrides(PROJECT)
    OverrideCache().record(store, new.snapshot, champion, PredictionCache())
    assert store.overrides.list_overrides(PROJECT) == before  # the turn has recorded all of them
    found = caches.changed_reviews.find(store, PROJECT, cases)
    assert found.changed == store.reviews.list_changed_reviews(PROJECT)


def act(world: World, what: str, place: int, person: int, label: str) -> None:
    site, tasks = world.site, sorted(world.site.tasks)
    task = tasks[place % len(tasks)]
    if what == "vote":
        site.answer(task, label, person=person)
    elif what in ("review", "change"):
        review(world, what, person, label)
    elif what == "add":
        site.add(f"a{place} {label}")
    elif what == "policy":
        world.use(policy_text(more=PEOPLE, share=0.5 if place % 2 else 0.0), overlap=2)
    elif what == "delete" and len(tasks) > 2:
        del site.tasks[task]
        world.store.append(events.deletions(PROJECT, "task", [task]), want=None)
    elif what == "erase" and len(tasks) > 2:
        world.store.erasure.erase_data(PROJECT, task=task)


def review(world: World, what: str, person: int, label: str) -> None:
    """Answer the first review task that the person may answer, or change an answer of theirs."""
    site = world.site
    for number in [row.id for row in world.store.review_projects.list_review_projects(PROJECT).values()]:
        answered = [found for found in site.review_annotations.get(number, {}).values() if found.person == person]
        if what == "review" and site.waiting(number, person):
            site.review(number, "fix", label, person=person, reason="boundary")
            return
        if what == "change" and answered and answered[0].task in site.review_tasks[number]:
            site.change(number, answered[0].task, person=person, verdict="fix", label=label, reason="boundary")
            return


@pytest.mark.slow
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_whatever_happens_the_caches_equal_a_recomputation(tmp_path_factory: pytest.TempPathFactory, steps):
    with open_world(tmp_path_factory.mktemp("caches")) as world:
        caches = Caches()
        world.site.people = dict(EMAILS)
        world.use(policy_text(more=PEOPLE, share=0.5), overlap=2)
        world.site.add("a1 apple", "b2 saw", "c3 pear")
        world.turn()
        promote(world)
        check(world, caches)
        for what, place, person, label in steps:
            act(world, what, place, person, label)
            world.turn()
            check(world, caches)


def test_a_quiet_turn_asks_the_store_as_often_with_many_open_cases_as_with_few(tmp_path: Path):
    with open_world(tmp_path) as world:
        world.use(policy_text(more='routing = [{id = "all", to = "L2"}]\n'))
        queries = []
        for number in range(2):
            world.site.add(*(f"a{at} apple {number}" for at in range(20)))
            for _ in range(3):
                world.turn()
            queries.append(count_queries(world.store, world.turn))

    assert queries[0] == queries[1]
