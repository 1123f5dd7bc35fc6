"""Change challengers of one judge epoch share one level, which is spent over them and kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from feedback.policy import Policy
from feedback.policy.schema import Model
from feedback.project.snapshot import load_snapshot
from feedback.store import Store
from feedback.training.challenger import JudgeEpoch, challenge, judge_epoch
from feedback.training.consensus_labels import ConsensusCache
from feedback.training.dataset import DatasetCache, Row
from feedback.training.model_cache import ChampionCache
from feedback.training.model_factory import ModelFactory
from feedback.training.model_vote import ModelVote
from feedback.training.promotion_gate import Verdict, judge
from ml_backend.models import Recipe
from tests.support import stores
from tests.support.connected_project import POLICY, ConnectedProject
from tests.support.proof import size


@dataclass(frozen=True)
class RandomModel:
    """Right with one probability on each row, by a draw of its own."""

    version: str
    recipe: str
    right: np.ndarray[Any, Any]
    classes: tuple[str, ...] = ("a", "b")

    def proba(self, data: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
        best = np.array([self.right[row["n"]] for row in data], dtype=int)
        return np.stack([best * 0.8 + 0.1, 0.9 - best * 0.8], axis=1)


def judge_change(store: Store, champion: RandomModel, challenger: RandomModel, rows: list[Row]) -> Verdict:
    """One verdict as the product makes and records it."""
    epoch = judge_epoch(store, "7", len(rows))
    options: dict[str, Any] = {"taught": [], "trained": frozenset(), "policy": Policy()}
    verdict = judge(challenger, champion, rows, challenger_number=epoch.changes + 1, **options)
    store.records.create_record("7", "verdict", epoch.record(verdict), key=challenger.version)
    return verdict


def test_of_many_changes_that_are_no_better_hardly_any_run_promotes_one(tmp_path: Path):
    n_rows, n_runs, n_challengers = 200, size(ci=8, full=200), size(ci=40, full=200)
    promoting, as_if_first = 0, 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)
        rows = [Row(number, "judge", "a", {"n": number}) for number in range(n_rows)]
        with closing(stores.fresh(tmp_path / f"{run}.sqlite3")) as store:
            champion = RandomModel("m0", "text/1", rng.random(n_rows) < 0.8)
            models = [RandomModel(f"m{j}", f"text/{j}", rng.random(n_rows) < 0.8) for j in range(2, n_challengers)]
            promoting += any(judge_change(store, champion, model, rows).promote for model in models)
        options: dict[str, Any] = {"taught": [], "trained": frozenset(), "policy": Policy()}
        as_if_first += any(judge(model, champion, rows, **options).promote for model in models)

    assert promoting <= 0.05 * n_runs + 2.0 * np.sqrt(0.05 * 0.95 * n_runs)
    assert as_if_first > promoting  # each judged as the first: the level is not kept


def test_an_epoch_lasts_until_the_judge_rows_have_doubled(tmp_path: Path):
    with closing(stores.fresh(tmp_path / "hitl.sqlite3")) as store:
        rows = [Row(number, "judge", "a", {"n": number}) for number in range(200)]
        champion = RandomModel("m0", "text/1", np.ones(200, dtype=bool))
        found = []
        for j, n_rows in enumerate((50, 60, 99, 100, 199, 200), start=1):
            found.append((judge_epoch(store, "7", n_rows).rows, judge_epoch(store, "7", n_rows).changes + 1))
            judge_change(store, champion, RandomModel(f"m{j}", "text/2", champion.right), rows[:n_rows])
        refresh = RandomModel("m9", "text/1", champion.right)
        judge_change(store, champion, refresh, rows)

        assert found == [(50, 1), (50, 2), (50, 3), (100, 1), (100, 2), (200, 1)]
        assert judge_epoch(store, "7", 200) == JudgeEpoch(200, 1)  # a refresh spends nothing


@dataclass(frozen=True)
class RenamedRecipe:
    """A recipe under another name: a change, for the gate."""

    recipe: Recipe
    name: str

    def fit(self, data: Any, labels: Sequence[str], **options: Any) -> Any:
        return self.recipe.fit(data, labels, **options)

    def vectors(self, data: Any, *, field: str) -> Any:
        return self.recipe.vectors(data, field=field)

    def load(self, state: Any) -> Any:
        return self.recipe.load(state)


class ReadsGender(ChampionCache):
    """A champion that was trained before the policy excluded a field."""

    def get(self, project: str) -> Any:
        champion = super().get(project)
        return None if champion is None else replace(champion, card={"fields": ["customer.gender"]})


def test_a_champion_that_reads_an_excluded_field_goes_without_a_proof_that_the_new_model_is_better(
    store: Store, tmp_path: Path
):
    store.secrets.save_secret("draws", "the same draws in every run")
    connected_project = ConnectedProject(store, tmp_path / "models")
    connected_project.connect()
    connected_project.turn()
    connected_project.label(40)
    connected_project.turn()
    project = store.projects.get_project("7")
    assert project is not None
    factory = ModelFactory(lambda: ())
    policy = POLICY.model_copy(update={"model": Model(without_fields=("gender",))})
    snapshot = load_snapshot(store, project, policy)
    labels = ConsensusCache().decide(snapshot)

    verdict = challenge(
        store,
        ReadsGender(store.registry, factory.load),
        snapshot,
        DatasetCache().build(snapshot, labels.settled, labels.changes),
        factory.recipe(snapshot.config, snapshot.control, policy),
        reweigh_with_model=lambda _dataset, _recipe: ModelVote(),
        now_s=1.0,
        claim=None,
    )

    assert verdict is not None
    assert (verdict.gate, verdict.promote) == ("first", True)


def test_the_loop_numbers_the_changes_of_an_epoch(store: Store, tmp_path: Path):
    store.secrets.save_secret("draws", "the same draws in every run")
    connected_project = ConnectedProject(store, tmp_path / "models")
    connected_project.connect()
    connected_project.turn()
    connected_project.label(40)
    connected_project.turn()
    project = store.projects.get_project("7")
    assert project is not None
    factory = ModelFactory(lambda: ())
    snapshot = load_snapshot(store, project, POLICY)
    labels = ConsensusCache().decide(snapshot)
    dataset = DatasetCache().build(snapshot, labels.settled, labels.changes)
    recipe = factory.recipe(snapshot.config, snapshot.control, POLICY)
    verdicts = [
        challenge(
            store,
            ChampionCache(store.registry, factory.load),
            snapshot,
            dataset,
            RenamedRecipe(recipe, f"text-choices/{number}"),
            reweigh_with_model=lambda _dataset, _recipe: ModelVote(),
            now_s=float(number),
            claim=None,
        )
        for number in (101, 102)
    ]

    assert [verdict.gate for verdict in verdicts if verdict] == ["change"] * 2
    for number, verdict in enumerate(verdicts, start=1):
        assert verdict is not None
        assert f"challenger {number})" in verdict.reason
    last = store.records.get_latest_record("7", "verdict")
    assert last is not None
    assert last.body["epoch"]["changes"] == 2
