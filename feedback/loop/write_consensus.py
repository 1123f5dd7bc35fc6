"""Write what several people settled together back to Label Studio, as an annotation of ours, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.incremental_caches import Changes
from feedback.project.label_changes import dropped_labels, known_labels
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.training.dataset import ConsensusLabel
from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.parsing import own_unique_id
from ml_backend.left_out import RequestRows

if TYPE_CHECKING:
    from feedback.loop.context import TurnContext

_KIND = "written_back"
_MAX_ANSWERS_PER_TURN = 50  # each is two requests, and the next turn waits for them
_ALL = 1_000_000  # records; read once by a worker, later only newer ones


@dataclass(frozen=True, slots=True)
class WrittenConsensus:
    """What was written back to a project, so that a turn reads only newer records and changed labels."""

    record: int = 0  # the newest record that was read
    names: dict[int, list[str]] = field(default_factory=dict, repr=False)  # task -> labels written, newest first
    labels: Changes = field(default_factory=Changes)
    due: frozenset[int] = frozenset()  # tasks with something left to write
    exclude: frozenset[int] = frozenset()
    refused: set[str] = field(default_factory=set, repr=False)  # labels that could not be written: not tried again


def write_consensus(context: TurnContext) -> TurnContext:
    """Write each answer that two people or more settled, as ground truth where no person has set one.

    Only if the policy asks for it. Nothing is written of gold tasks (their answers stay with us), of tasks that are
    asked again, of those with a final answer, which review writes, and of answers with a label that was dropped. A
    changed consensus is another answer; the star moves on from our older annotation, never from a person's. Safe to
    repeat.
    """
    platform, snapshot, store = context.platform, context.snapshot, context.store
    if platform is None or not snapshot.policy.consensus.write_back:
        return context
    due, names, refused = _list_due(context)
    done, requests = 0, RequestRows("write the consensus")
    try:
        for label, name in due[:_MAX_ANSWERS_PER_TURN]:
            if not context.may_write():
                break
            done += 1
            refused.add(name)
            with requests.row(f"task {label.task}"):
                _write(store, platform, snapshot, label, name, names.get(label.task, ()))
                refused.discard(name)
    except LabelStudioError as error:
        refused.discard(name)
        return context.noted(f"the consensus was not written to Label Studio; the next turn tries again: {error}")
    if 0 < done < len(due):
        context.request_turn()
    return context


def _list_due(context: TurnContext) -> tuple[list[tuple[ConsensusLabel, str]], dict[int, list[str]], set[str]]:
    """Return the labels to write with their names, the names of those written for each task, and those refused."""
    snapshot, labels, project = context.snapshot, context.consensus_labels, context.project_id
    excluded = frozenset(context.final_answers.cases if context.final_answers else ())
    cache = context.services.written_consensus
    kept = cache.get(project) or WrittenConsensus()
    newer = context.store.records.list_records(project, _KIND, above=kept.record, limit=_ALL)[::-1]  # oldest first
    for record in newer:
        kept.names.setdefault(record.body["task"], []).insert(0, record.key)
    moved = labels.changes.since(kept.labels.revision) if kept.exclude == excluded else None
    settled: Iterable[ConsensusLabel] = labels.settled
    if moved is not None:
        looked_at = moved | kept.due
        settled = [label for label in labels.settled if label.task in looked_at] if looked_at else []
    due, known = [], known_labels(snapshot.control)
    for label in settled:
        skipped = label.task in excluded or label.task in labels.needs_more_votes
        if label.votes > 1 and not skipped and snapshot.roles[label.task] != "gold":
            if dropped_labels(label.answer, known):
                continue
            name = own_unique_id(f"review/{project}/{label.task}/consensus/{label.answer.key}")
            if name not in kept.refused and name not in kept.names.get(label.task, ()):
                due.append((label, name))
    left = frozenset(label.task for label, _name in due)
    newest = newer[-1].id if newer else kept.record
    made = WrittenConsensus(newest, kept.names, labels.changes, left, excluded, kept.refused)
    cache.put(project, made, size=len(kept.names))
    return due, kept.names, kept.refused


def _write(
    store: Store,
    platform: LabellingPlatform,
    snapshot: ProjectSnapshot,
    label: ConsensusLabel,
    name: str,
    before: Iterable[str],
) -> None:
    project = snapshot.project.id
    # before the request: a webhook may report the annotation before the request returns
    store.annotations.create_own_annotations(project, unique_ids=[name])
    result = get_codec(label.answer.kind).encode(label.answer, snapshot.control, label.confidence)
    annotation, starred = platform.write_final_answer(project, label.task, result, unique_id=name, ours=[name, *before])
    store.annotations.create_own_annotations(project, annotations=[annotation])
    body = {"task": label.task, "annotation": annotation, "answer": label.answer.key, "starred": starred}
    store.records.create_record(project, _KIND, body | {"confidence": label.confidence, "votes": label.votes}, key=name)
