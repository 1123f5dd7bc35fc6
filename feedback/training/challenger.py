"""A challenge: train on what people settled, judge against the champion, promote or keep; each step recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from feedback.policy import Policy
from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import JobClaim, Store
from feedback.training.dataset import Dataset, Row
from feedback.training.imported_answers import list_asked_imports
from feedback.training.model_cache import ChampionCache
from feedback.training.model_vote import ModelVote, reweighed
from feedback.training.promotion_gate import Verdict, judge
from feedback.training.retrain_triggers import MIN_JUDGED, LastTraining, UnseenRows, retrain_reason
from feedback.training.trainer import train
from ml_backend.calibration import MIN_ROWS
from ml_backend.features.task_columns import FieldRule
from ml_backend.models import Recipe
from ml_backend.records import Task
from ml_backend.registry import Bundle, pack, recipe_with_indicators


def challenge(
    store: Store,
    champions: ChampionCache,
    snapshot: ProjectSnapshot,
    dataset: Dataset,
    recipe: Recipe,
    *,
    reweigh_with_model: Callable[[Dataset, Recipe], ModelVote],
    now_s: float,
    claim: JobClaim | None,
    cache: TrainingCache | None = None,
) -> Verdict | None:
    """Train when it is due, and let the verdict decide. None: nothing was due.

    Whether it is due depends on people's answers alone; `reweigh_with_model` adds the model's vote to their weights.
    Artefact, training record, verdict and promotion are written together, under the fence of `claim`: LeaseLost
    where another worker has the project by then. Raises NotTrained when the rows cannot be learned from.
    """
    project = snapshot.project.id
    cache = cache or TrainingCache()
    last = cache.last_training(store, snapshot)
    indicators = sorted(snapshot.policy.indicators)
    name = recipe_with_indicators(recipe.name, indicators)
    state = cache.state(store, snapshot, dataset, name)
    if cache.was_not_due(project, state):
        return None
    reason = retrain_reason(
        dataset,
        last,
        recipe=name,
        policy=snapshot.policy,
        unseen=cache.unseen_rows(project, dataset, last),
        overrides=partial(store.overrides.list_overriding_annotations, project),
        forgotten=partial(cache.erased_annotations, store, project),
        open_audit=partial(count_open_audit, snapshot),
    )
    if not reason:
        cache.note_not_due(project, state)
        return None
    seed = snapshot.policy.train.seed
    model_vote = reweigh_with_model(dataset, recipe)
    weighed = reweighed(dataset, model_vote)
    bundle = train(
        weighed,
        snapshot.control,
        recipe,
        config_hash=snapshot.config.hash,
        seed=seed,
        now_s=now_s,
        indicators=indicators,
    )
    champion = champions.get(project)
    if champion is not None and not reads_only_allowed(champion, snapshot.policy):
        champion = None  # it must go, and not only once another one is proven better
    trained = frozenset(row.task for row in dataset.of("train"))
    if champion is not None:
        trained |= _trained_tasks(store, project, champion.version, snapshot.tasks)
    audit = [row for row in dataset.of("tune", "judge") if row.task not in trained]
    epoch = judge_epoch(store, project, sum(row.role == "judge" for row in audit))
    verdict = judge(
        bundle,
        champion,
        audit,
        taught=dataset.of("train"),
        trained=trained,
        policy=snapshot.policy,
        calibrated=len(dataset.of("tune")) >= MIN_ROWS,
        challenger_number=epoch.changes + 1,
    )
    body = epoch.record(verdict) | {"at_s": now_s}
    artefact = pack(bundle)
    # one transaction: a kill leaves all of a challenge or nothing, and a worker that lost the project leaves nothing
    with store.transaction(claim):
        store.registry.add(project, bundle.version, artefact, dict(bundle.card))
        _record_training(store, snapshot, dataset, model_vote, bundle.version, name, reason, now_s)
        if verdict.promote:
            store.registry.promote(project, bundle.version, verdict=body)
        else:
            store.records.create_record(project, "verdict", body, key=bundle.version)
    return verdict


def count_open_audit(snapshot: ProjectSnapshot) -> int:
    """Return how many tasks people can still answer that would judge a model, at most as many as a model waits for."""
    roles, voted, asked = snapshot.roles, snapshot.votes_by_task, list_asked_imports(snapshot)
    found = (
        task
        for task, row in snapshot.tasks.items()
        if roles[task] in ("tune", "judge") and task not in voted and (not row.is_labeled or task in asked)
    )
    return len(list(islice(found, MIN_JUDGED)))


@dataclass(frozen=True, slots=True)
class JudgeEpoch:
    """A time over which change challengers share one level: until the judge rows have doubled.

    A promotion does not end it, and every change challenger counts, also one that was kept out.
    """

    rows: int  # judge rows at its beginning
    changes: int  # change challengers judged in it so far

    def record(self, verdict: Verdict) -> dict[str, Any]:
        """Return a verdict as it is recorded, with the epoch after it, by which the next verdict is numbered."""
        after = replace(self, changes=self.changes + (verdict.gate == "change"))
        return verdict.as_dict() | {"epoch": asdict(after)}


def reads_only_allowed(bundle: Bundle, policy: Policy) -> bool:
    """Return whether a model reads no field that the policy excludes (`without_fields`)."""
    allows = FieldRule(without=policy.model.without_fields).allows
    return all(map(allows, bundle.card.get("fields", ())))


def judge_epoch(store: Store, project: str, n_rows: int) -> JudgeEpoch:
    """Return the judge epoch of a verdict on so many judge rows: that of the last verdict, or a new one."""
    last = store.records.get_latest_record(project, "verdict")
    epoch = JudgeEpoch(**last.body["epoch"]) if last is not None and "epoch" in last.body else None
    return epoch if epoch is not None and n_rows < 2 * max(1, epoch.rows) else JudgeEpoch(n_rows, 0)


class TrainingCache:
    """Keeps what the last training of each project saw, and in which state no training was due."""

    def __init__(self) -> None:
        self._last = RecentProjects[_KeptTraining]()
        self._erased = RecentProjects[tuple[int, frozenset[int]]]()  # number of the last event, and annotations
        self._not_due = RecentProjects[tuple[object, ...]]()
        self._unseen = RecentProjects[UnseenRows]()

    def last_training(self, store: Store, snapshot: ProjectSnapshot) -> LastTraining | None:
        """Return what `last_training` returns; its record is read when there is another one."""
        project = snapshot.project.id
        head = store.records.get_record_head(project, "training")
        kept = self._last.get(project)
        if kept is None or kept.record != head:
            found = store.records.get_latest_record(project, "training") if head else None
            trained = None if found is None else _trained(found.body, snapshot.tasks)
            kept = _KeptTraining(head, snapshot.changes, {} if found is None else found.body, trained)
        elif kept.trained is not None:
            moved = snapshot.changes.since(kept.changes.revision)
            if moved is None or not moved.isdisjoint(kept.body["tasks"]):
                kept = replace(kept, trained=_trained(kept.body, snapshot.tasks))
            kept = replace(kept, changes=snapshot.changes)
        self._last.put(project, kept, size=len(kept.body.get("tasks", ())))
        return kept.trained

    def unseen_rows(self, project: str, dataset: Dataset, last: LastTraining | None) -> UnseenRows | None:
        """Return what `UnseenRows.find` finds; None before the first training."""
        if last is None:
            return None
        found = UnseenRows.find(dataset, last, self._unseen.get(project))
        self._unseen.put(project, found, size=len(found.fresh) + len(found.moved))
        return found

    def erased_annotations(self, store: Store, project: str) -> frozenset[int]:
        """Return the numbers of all annotations that were ever erased; only newer events are read again."""
        head = store.events.get_heads(project).seq
        after, known = self._erased.get(project) or (0, frozenset[int]())
        if after != head:
            known |= store.events.list_erased_annotations(project, after=after)
        self._erased.put(project, (head, known), size=len(known))
        return known

    def state(self, store: Store, snapshot: ProjectSnapshot, dataset: Dataset, recipe: str) -> tuple[object, ...]:
        """Return everything on which it depends whether a training is due; () where the data set is not tracked."""
        project = snapshot.project.id
        if not dataset.changes.revision:
            return ()
        last, head = store.records.get_record_head(project, "training"), store.events.get_heads(project).seq
        overrides = store.overrides.get_override_head(project)
        return last, head, overrides, dataset.changes.revision, recipe, snapshot.policy.train

    def was_not_due(self, project: str, state: tuple[object, ...]) -> bool:
        """Return whether no training was due in this state."""
        return bool(state) and self._not_due.get(project) == state

    def note_not_due(self, project: str, state: tuple[object, ...]) -> None:
        """Keep that no training was due in this state."""
        self._not_due.put(project, state, size=1)


@dataclass(frozen=True, slots=True)
class _KeptTraining:
    record: int
    changes: Changes  # of the snapshot by which `trained` was made
    body: Mapping[str, Any]
    trained: LastTraining | None


def last_training(store: Store, project: str, tasks: Mapping[int, Task] | None = None) -> LastTraining | None:
    """Return what the newest training saw, promoted or not; with `tasks`, without numbers that are other tasks now."""
    found = store.records.get_latest_record(project, "training")
    return None if found is None else _trained(found.body, tasks or {})


def _trained(body: Mapping[str, Any], tasks: Mapping[int, Task]) -> LastTraining:
    given = frozenset(body["annotations"]) | frozenset(body.get("imported", ()))
    return LastTraining(body["fingerprint"], int(body["rows"]), body["recipe"], _seen(body, tasks), given)


def learned_annotations(store: Store, project: str, version: str) -> frozenset[int]:
    """Return the annotations of people that a model version was trained on."""
    found = store.records.get_latest_record(project, "training", key=version)
    return frozenset(found.body["annotations"]) if found else frozenset()


def _trained_tasks(store: Store, project: str, version: str, tasks: Mapping[int, Task]) -> frozenset[int]:
    found = store.records.get_latest_record(project, "training", key=version)
    return _seen(found.body, tasks) if found else frozenset()


def _seen(training: Mapping[str, Any], tasks: Mapping[int, Task]) -> frozenset[int]:
    """Return the tasks that a training saw, without those whose id passed to a newer task since."""
    until = training.get("until")
    return frozenset(
        task for task in training["tasks"] if not until or task not in tasks or tasks[task].created_at <= until
    )


def _record_training(
    store: Store,
    snapshot: ProjectSnapshot,
    dataset: Dataset,
    model_vote: ModelVote,
    version: str,
    recipe: str,
    reason: str,
    now_s: float,
) -> None:
    rows = dataset.of("train")
    body = {
        "version": version,
        "recipe": recipe,
        "reason": reason,
        "fingerprint": dataset.fingerprint,
        "rows": len(rows),
        "tasks": [row.task for row in rows],
        "until": max((task.created_at for task in snapshot.tasks.values()), default=""),
        "annotations": _annotations_of(rows, "person"),
        "imported": _annotations_of(rows, "import"),
        "model_vote": {"rows": len(model_vote.weights), "reason": model_vote.reason},
        "label_issues": [asdict(issue) for issue in model_vote.label_issues],
        "at_s": now_s,
    }
    store.records.create_record(snapshot.project.id, "training", body, key=version)


def _annotations_of(rows: Iterable[Row], source: str) -> list[int]:
    return sorted(annotation for row in rows if row.source == source for annotation in row.annotations)
