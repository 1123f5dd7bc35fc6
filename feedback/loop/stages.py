"""The stages of a turn: each calls the package that owns the work and returns the context with what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from feedback.errors import NotConnected
from feedback.ingest.polling import count_drafts, poll_changes, update_project_description
from feedback.ingest.signals import match_waiting_signals
from feedback.labelling_platform.interface import LabellingPlatform, WriteResult
from feedback.labelling_platform.verification import is_verification_due, record_verification
from feedback.loop.context import TurnContext
from feedback.project.guidelines import record_guideline
from feedback.project.snapshot import ProjectSnapshot, as_of_first_answer
from feedback.queue.planner import WindowPlan, plan_window
from feedback.review.indicator_ingest import ingest_indicators
from feedback.training.challenger import challenge, count_open_audit
from feedback.training.consensus_labels import reweigh_with_model
from feedback.training.imported_answers import update_imported_gold
from feedback.training.model_factory import export_champion
from feedback.training.retrain_triggers import first_model_waits_for
from ml_backend.errors import LabelConfigError, LabelStudioError
from ml_backend.label_config import read_label_config
from ml_backend.left_out import describe_error, is_of_service, note_left_out
from ml_backend.registry import Bundle


def collect_changes(context: TurnContext) -> TurnContext:
    """Collect the events that webhooks missed. If Label Studio is away, the turn continues with the stored data."""
    services, store, project = context.services, context.store, context.project_id
    store.ingest_inbox()
    if services.platform is None or not context.poll:
        return context
    try:
        described = services.platform.describe_project(project)
        record_guideline(store, project, described, now_s=services.clock())
        described_anew = update_project_description(store, project, described)
        now_s = services.clock()
        found = poll_changes(store, services.platform, project, now_s=now_s, since_s=services.started_s)
    except Exception as error:
        if is_of_service(error) and not isinstance(error, LabelStudioError):
            raise
        return context.noted(f"not collected: {describe_error(error)}")
    context = replace(context, collected=described_anew + found)
    try:
        count_drafts(store, services.platform, project, now_s=now_s)
    except (LabelStudioError, KeyError, TypeError, ValueError) as error:
        return context.noted(f"drafts are not counted: {describe_error(error)}")
    return context


def load_snapshot(context: TurnContext) -> TurnContext:
    """Read the project as it is now, without the votes of people who may not answer in the first tier.

    A label config that we cannot read is noted, and the turn ends here. Raises NotConnected for an unknown project.
    """
    services, store = context.services, context.store
    project = store.projects.get_project(context.project_id)
    if project is None:
        raise NotConnected(f"project {context.project_id} is not known; nothing was ever received for it.")
    policy = project.policy
    try:
        config = read_label_config(project.label_config)
        control = config.control(policy.model.control)
    except LabelConfigError as error:
        return context.noted(str(error))
    snapshot = services.snapshots.load(store, project, policy, config, control)
    if update_imported_gold(store, snapshot):
        snapshot = services.snapshots.load(store, project, policy, config, control)
    eligible = services.review.exclude_ineligible_votes(snapshot)
    return replace(context, eligible=eligible, first_answers=as_of_first_answer(store, eligible.snapshot))


def record_overrides(context: TurnContext) -> TurnContext:
    """Record the answer that people saw together with the answer that they gave.

    Before training: a model that has learned from an answer cannot be held against it.
    """
    services = context.services
    snapshot = context.first_answers or context.snapshot
    champion = _as_asked_now(services.champions.get(context.project_id), snapshot)
    services.overrides.record(context.store, snapshot, champion, services.predictions)
    return context


def aggregate_votes(context: TurnContext) -> TurnContext:
    """Decide the consensus labels; final answers of review, as decided in earlier turns, stand above votes."""
    services, snapshot = context.services, context.snapshot
    final = services.final_answers.load(context.store, snapshot)
    labels = services.final_answers.apply(services.consensus.decide(snapshot), final, snapshot)
    return replace(context, final_answers=final, labels=labels)


def train_and_judge(context: TurnContext) -> TurnContext:
    """Train, judge and promote where it is due. Models learn from labels with indicators as of the first answers."""
    services, snapshot, labels = context.services, context.first_answers or context.snapshot, context.consensus_labels
    final = context.final_answers
    withheld = final.withheld if final else ()
    dataset = services.datasets.build(snapshot, labels.settled, labels.changes, withheld=withheld)
    context = replace(context, dataset=dataset)
    try:
        recipe = services.model_factory.recipe(snapshot.config, snapshot.control, snapshot.policy)
        verdict = challenge(
            context.store,
            services.champions,
            snapshot,
            dataset,
            recipe,
            reweigh_with_model=partial(
                reweigh_with_model, snapshot, services.consensus, exclude=final.cases.keys() if final else ()
            ),
            now_s=services.clock(),
            claim=context.held.claim if context.held else None,
            cache=services.trainings,
        )
    except Exception as error:
        if is_of_service(error):
            raise
        hint = getattr(error, "hint", "")
        return _with_champion(context.noted(f"not trained: {describe_error(error)} {hint}".strip()))
    finally:
        export_champion(context.store.registry, services.model_folder, context.project_id)
    context = _with_champion(context)
    if verdict is None:
        open_audit = partial(count_open_audit, snapshot)
        waits = "" if context.champion else first_model_waits_for(dataset, snapshot.policy, open_audit)
        return replace(context, waits=waits)
    outcome = "promoted" if verdict.promote else "kept"
    return replace(context, verdict=f"{outcome}: {verdict.challenger}: {verdict.reason}")


def route_tasks(context: TurnContext) -> TurnContext:
    """Decide by the policy's rules who looks at each task. Signals that wait for a task's key are matched before."""
    services, snapshot, final = context.services, context.snapshot, context.final_answers
    n_waiting = match_waiting_signals(context.store, context.project_id, snapshot.policy)
    routes = services.routing.route(
        context.store,
        snapshot,
        context.consensus_labels,
        context.champion,
        services.predictions,
        services.committee,
        now_s=services.clock(),
        n_waiting=n_waiting,
    )
    if final is not None and final.withheld:
        routes = replace(routes, held=routes.held | final.withheld)
    return context if routes == snapshot.routes else context.with_snapshot(replace(snapshot, routes=routes))


def write_queue(context: TurnContext) -> TurnContext:
    """Write the next window when the served one is not enough any more; finish one that a kill cut short.

    Before anything of review is written: somebody may wait for a task, and the queue needs no result of review. A case
    that review opens in this turn holds its task back from the next turn on, which is asked for at once.
    """
    services, platform, snapshot = context.services, context.platform, context.snapshot
    if platform is None:
        return context
    store, project, labels = context.store, context.project_id, context.consensus_labels
    served = services.windows.load(store, project)
    open_tasks = services.open_tasks.list_open_tasks(snapshot, labels)
    plan = plan_window(
        snapshot,
        labels,
        served,
        context.champion,
        services.predictions,
        audit_rows=context.dataset.count("tune", "judge", "certify") if context.dataset else 0,
        now_s=services.clock(),
        open_tasks=open_tasks,
    )
    context = replace(context, window=served.version if served else "")
    is_planned, verifies = plan is not None, is_verification_due(store, project, "queue")
    if plan is None and served is not None and verifies:
        plan = WindowPlan(served.version, served.rows, "")  # to read it back
    if plan is None:
        return context
    verified = [row.task for row in plan.rows if row.task in open_tasks.by_task] if verifies else []
    context, given = _write_plan(context, platform, plan, verified)
    if given is not None and given.complete and verifies:
        record_verification(store, project, "queue")
    if given is None or not is_planned:
        return context
    if given.complete:
        body = {"version": plan.version, "rows": len(plan.rows), "held": given.rows, "why": plan.why}
        store.records.create_record(project, "asked", body | {"at_s": services.clock()})
    return replace(context, asked=plan.why, window=plan.version)


def _write_plan(
    context: TurnContext, platform: LabellingPlatform, plan: WindowPlan, verified: Sequence[int]
) -> tuple[TurnContext, WriteResult | None]:
    """Write a window and note what is missing of it; None where nothing could be written."""
    if not context.may_write():
        return context.noted("the queue is not written: the project is paused, or another worker has it"), None
    store, project, policy = context.store, context.project_id, context.snapshot.policy
    store.windows.save_window(project, plan.rows)  # before the write, so that the next turn knows the plan after a kill
    try:
        given = platform.write_queue(
            project,
            plan.rows,
            context.snapshot.control,
            head=policy.queue.head,
            stop=lambda: not context.may_write(),
            verify=verified,
        )
    except LabelStudioError as error:
        return context.noted(f"the queue is not written: {error}"), None
    if given.rows < len(plan.rows):
        context = context.noted(f"Label Studio holds {given.rows} of {len(plan.rows)} rows of {plan.version}")
    for task, reason in given.problems.items():
        note_left_out("show a pre-annotation", f"task {task}", reason)
    return context, given


def review(context: TurnContext) -> TurnContext:
    """Run the review of the project: open cases, decide, watch the clocks, assign, write final answers, notify.

    Models learn from its decisions in the next turn, which is requested.
    """
    services, eligible = context.services, context.eligible
    result = services.review.run(
        context.snapshot,
        context.consensus_labels,
        context.champion,
        services.predictions,
        eligible=eligible,
        sync_review_project=_syncer(context),
        may_write=context.may_write,
    )
    if result.more_to_do or result.resolved or result.opened or result.reopened:
        context.request_turn()
    if result.reopened:  # others may answer these now: the queue of the next turn has them
        context = context.with_snapshot(replace(context.snapshot, tasks={**context.snapshot.tasks, **result.reopened}))
    return context.noted(*result.notes)


def store_indicators(context: TurnContext) -> TurnContext:
    """Store the indicators that people gave with their answers; snapshots have them from the next turn on."""
    excluded = context.eligible.excluded.keys() if context.eligible else ()
    if ingest_indicators(context.store, context.snapshot, refused=excluded):
        context.request_turn()
    return context


def _with_champion(context: TurnContext) -> TurnContext:
    """Load the model that serves; one that cannot be loaded, or that learned another question, is noted."""
    champions = context.services.champions
    champion = champions.get(context.project_id)
    if refused := champions.refused(context.project_id):
        serves = f"{champion.version}, the one before, serves" if champion else "none serves until one is trained"
        context = context.noted(f"the champion is not loaded: {refused} {serves}.")
    current = _as_asked_now(champion, context.snapshot)
    if champion is not None and current is None:
        context = context.noted(f"{champion.version} learned another question than is asked now; it predicts nothing.")
    return replace(context, champion=current)


def _as_asked_now(champion: Bundle | None, snapshot: ProjectSnapshot) -> Bundle | None:
    """Return a model with the labels that the config has now; None where the model learned another question."""
    if champion is None or snapshot.config.matching_control(champion.control) != snapshot.control:
        return None
    return champion if champion.control == snapshot.control else replace(champion, control=snapshot.control)


def _syncer(context: TurnContext) -> Callable[[str], None]:
    services = context.services

    def sync(review_project: str) -> None:
        if context.poll and services.platform is not None:
            poll_changes(context.store, services.platform, review_project, now_s=services.clock(), want=None)

    return sync
