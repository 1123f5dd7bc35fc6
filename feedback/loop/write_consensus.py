"""Writing back: what several people settled together, as an answer of ours in Label Studio, once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.training.consensus_labels import ConsensusLabels
from ml_backend.codecs import codec
from ml_backend.labelstudio.review_project_client import unique_id

_KIND = "written_back"
_ALL = 1_000_000
_AT_ONCE = 50  # answers a turn: each is two requests, and others wait for the turn's end


@dataclass(frozen=True, slots=True)
class WrittenBack:
    """What was done, and what another turn must do."""

    done: int
    left: int


def write_back(
    store: Store,
    platform: LabellingPlatform,
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    *,
    but: Collection[int] = (),
    may_write: Callable[[], bool],
) -> WrittenBack:
    """Write each answer that two people or more settled, as ground truth where no person has set one; safe to repeat.

    Nothing is written of gold tasks (their answers stay with us), of tasks that are asked again, and of those in `but`
    (review writes its own). A changed consensus is another answer; the star moves on from ours, never from a person's.
    """
    if not snapshot.policy.consensus.write_back:
        return WrittenBack(0, 0)
    project = snapshot.project.id
    before: dict[int, list[str]] = {}
    for record in store.records.list_records(project, _KIND, limit=_ALL):
        before.setdefault(record.body["task"], []).append(record.key)
    due = []
    for one in consensus_labels.settled:
        name = unique_id(f"{project}/{one.task}/consensus/{one.answer.key}")
        skipped = one.task in but or one.task in consensus_labels.needs_more_votes or snapshot.roles[one.task] == "gold"
        if one.votes > 1 and not skipped and name not in before.get(one.task, ()):
            due.append((one, name))
    done = 0
    for one, name in due[:_AT_ONCE]:
        if not may_write():
            break
        store.annotations.create_own_annotations(
            project, unique_ids=[name]
        )  # first: a webhook may bring it before the answer to our request
        result = codec(one.answer.kind).encode(one.answer, snapshot.control, one.confidence)
        annotation, starred = platform.write_final_answer(
            project, one.task, result, unique_id=name, ours=[name, *before.get(one.task, ())]
        )
        store.annotations.create_own_annotations(project, annotations=[annotation])
        body = {"task": one.task, "annotation": annotation, "answer": one.answer.key, "starred": starred}
        store.records.create_record(project, _KIND, body | {"confidence": one.confidence, "votes": one.votes}, key=name)
        done += 1
    return WrittenBack(done, len(due) - done)
