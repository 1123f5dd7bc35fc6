"""Write what several people settled together back to Label Studio, as an annotation of ours, once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.changes import Changes
from feedback.project.recent_projects import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import ConsensusLabel
from ml_backend.codecs import get_codec
from ml_backend.labelstudio.parsing import own_unique_id

_KIND = "written_back"
_MAX_ANSWERS_PER_TURN = 50  # each is two requests, and the next turn waits for them
_ALL = 1_000_000  # records; read once by a worker, later only newer ones


@dataclass(frozen=True, slots=True)
class WriteBackResult:
    """How many answers were written, and how many are left for another turn."""

    done: int
    left: int


@dataclass(frozen=True, slots=True)
class _Kept:
    record: int  # the newest record that was read
    names: dict[int, list[str]] = field(repr=False)  # task -> names of the labels written for it, newest first
    labels: Changes
    due: frozenset[int]  # tasks with something left to write
    exclude: frozenset[int]


class WrittenConsensus:
    """Remembers what was written back to each project, so that a turn reads only newer records and changed labels."""

    def __init__(self) -> None:
        self._kept = RecentProjects[_Kept]()

    def write(
        self,
        store: Store,
        platform: LabellingPlatform,
        snapshot: ProjectSnapshot,
        labels: ConsensusLabels,
        *,
        exclude: Collection[int] = (),
        may_write: Callable[[], bool],
    ) -> WriteBackResult:
        """Write each answer that two people or more settled, as ground truth where no person has set one.

        Nothing is written of gold tasks (their answers stay with us), of tasks that are asked again, and of those in
        `exclude` (review writes its own). A changed consensus is another answer; the star moves on from our older
        annotation, never from a person's. Safe to repeat.
        """
        if not snapshot.policy.consensus.write_back:
            return WriteBackResult(0, 0)
        project, excluded = snapshot.project.id, frozenset(exclude)
        kept = self._kept.get(project)
        above = kept.record if kept is not None else 0
        newer = store.records.list_records(project, _KIND, above=above, limit=_ALL)[::-1]  # oldest first
        names = kept.names if kept is not None else {}
        for record in newer:
            names.setdefault(record.body["task"], []).insert(0, record.key)
        moved = labels.changes.since(kept.labels.revision) if kept is not None and kept.exclude == excluded else None
        settled: Iterable[ConsensusLabel] = labels.settled
        if kept is not None and moved is not None:
            looked_at = moved | kept.due
            settled = [label for label in labels.settled if label.task in looked_at] if looked_at else []
        due = []
        for label in settled:
            skipped = label.task in excluded or label.task in labels.needs_more_votes
            if label.votes > 1 and not skipped and snapshot.roles[label.task] != "gold":
                name = own_unique_id(f"review/{project}/{label.task}/consensus/{label.answer.key}")
                if name not in names.get(label.task, ()):
                    due.append((label, name))
        newest = newer[-1].id if newer else kept.record if kept is not None else 0
        left = frozenset(label.task for label, _name in due)
        self._kept.put(project, _Kept(newest, names, labels.changes, left, excluded), size=len(names))
        done = 0
        for label, name in due[:_MAX_ANSWERS_PER_TURN]:
            if not may_write():
                break
            _write(store, platform, snapshot, label, name, names.get(label.task, ()))
            done += 1
        return WriteBackResult(done, len(due) - done)


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
