"""Activating: a policy becomes the one that every host reads, its text and hash kept for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.loading import in_words
from feedback.store import ProjectRow, Store

_ORDER = "order"  # beside the policy's own keys: the store sorts the keys of JSON
_IN_ORDER = ("reasons", "feedback")  # tables that reviewers read from top to bottom


@dataclass(frozen=True, slots=True)
class Activation:
    """One policy that became active."""

    hash: str
    at_s: float
    who: str
    before: str  # the hash of the one before; "" for the first


def keep_policy(store: Store, project: str, policy: Policy) -> str:
    """Keep a policy by its hash, so that what it decided can be replayed; gives the hash. Safe to repeat."""
    store.record(project, "policy", {"policy": _stored(policy)}, key=policy.hash)
    return policy.hash


def activate(store: Store, project: ProjectRow, policy: Policy, *, who: str, now_s: float) -> Activation:
    """Make a policy the active one of a project, wanting a turn. Safe to repeat: nothing is recorded twice in a row."""
    before = policy_of(project).hash if project.options.get("policy") else ""
    done = Activation(policy.hash, now_s, who, before)
    with store.transaction():
        keep_policy(store, project.id, policy)
        store.save_project(replace(project, options={**project.options, "policy": _stored(policy)}))
        if before != policy.hash:
            body = {"hash": done.hash, "before": before, "who": who, "at_s": now_s}
            store.record(project.id, "policy_active", body)
        store.want(project.id, "turn")
    return done


def activations(store: Store, project: str) -> list[Activation]:
    """Give every policy that became active, newest first."""
    found = store.records(project, "policy_active", limit=1000)
    return [Activation(one.body["hash"], one.body["at_s"], one.body["who"], one.body["before"]) for one in found]


def policy_of(project: ProjectRow) -> Policy:
    """The policy that is active for a project."""
    return _read(project.options.get("policy", {}), f"the active policy of project {project.id}")


def policy_of_hash(store: Store, project: str, policy_hash: str) -> Policy:
    """The policy that had a hash when it was active; PolicyError where it was never kept here."""
    kept = store.latest(project, "policy", key=policy_hash)
    if kept is None:
        raise PolicyError(f"no policy {policy_hash} was ever active in project {project}.")
    return _read(kept.body["policy"], f"policy {policy_hash}")


def _stored(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json") | {_ORDER: {name: list(getattr(policy, name)) for name in _IN_ORDER}}


def _read(body: Mapping[str, Any], what: str) -> Policy:
    kept = dict(body)
    for name, order in kept.pop(_ORDER, {}).items():
        kept[name] = {key: kept[name][key] for key in order}
    try:
        return Policy.model_validate(kept)
    except ValidationError as error:
        hint = "A newer or older version has stored it: activate a policy file with this version."
        raise PolicyError(f"{what} cannot be read: {in_words(error)}", hint=hint) from None
