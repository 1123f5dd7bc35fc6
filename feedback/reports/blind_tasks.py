"""What nothing is shown on, and why: in words for the people who see an empty form."""

from __future__ import annotations

from feedback.store import QueueCounts


def why_blind(*, has_model: bool, audit_share: float, overlap_share: float, queue: QueueCounts | None) -> list[str]:
    """Say what is blind in a project, each reason in a sentence or two.

    >>> for line in why_blind(has_model=False, audit_share=0.0, overlap_share=0.0, queue=None):
    ...     print(line)
    Every task is blind for now: no model serves yet.
    """
    said = []
    if not has_model:
        said.append("Every task is blind for now: no model serves yet.")
    if queue is not None and queue.open:
        said.append(f"In the queue, {queue.blind_open} of the {queue.open} tasks that are still open show nothing.")
    if audit_share > 0:
        said.append(
            f"{100 * audit_share:.3g} % of all tasks are the audit, drawn at random for ever. Nobody sees the model's "
            "answer on them and no model ever learns from them, so that what people say there measures it honestly."
        )
    if overlap_share > 0:
        said.append(
            f"{100 * overlap_share:.3g} % of all tasks are drawn for several people, who answer without seeing the "
            "model's answer, so that their agreement is their own."
        )
    if has_model:
        said.append(
            "A task that is asked again because people differ is blind, too: a second opinion should be one. So are "
            "tasks whose answer is known. And where the model cannot read a task, it says nothing rather than "
            "something wrong."
        )
    return said
