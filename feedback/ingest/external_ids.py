"""Naming: which task somebody outside means, who knows it by the number of an order or of a transaction."""

from __future__ import annotations

from feedback.policy import Policy
from feedback.policy.decision import identifier_text, make_data_reader
from feedback.store import Store


def find(store: Store, project: str, policy: Policy, key: str) -> tuple[int | None, str]:
    """The task that has this key, or why there is none, as (task, reason); as far as the last turn has read tasks."""
    field = policy.tasks.key
    tasks = store.external_ids.list_tasks(project, field, key)
    if len(tasks) == 1:
        return tasks[0], ""
    if tasks:
        several = ", ".join(map(str, tasks))
        return None, f"tasks {several} all have {field} {key[:80]!r}; it waits until one of them does, or name the task"
    return None, f"no task has {field} {key[:80]!r} yet; it waits for one that does"


def join(store: Store, project: str, policy: Policy) -> int:
    """Index the tasks that came, and let the signals that waited for one be about it; gives how many found theirs."""
    if not policy.tasks.key:
        return 0
    read = make_data_reader(policy.tasks.key)
    store.external_ids.index_tasks(project, policy.tasks.key, lambda data: identifier_text(read(data)))
    found = 0
    for signal in store.signals.list_parked_signals(project):
        task, reason = find(store, project, policy, signal.external)
        if task is not None or reason != signal.parked:
            store.signals.update_signal_task(signal, task=task, parked=reason)
            found += task is not None
    return found
