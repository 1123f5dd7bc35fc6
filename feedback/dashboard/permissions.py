"""Permissions: what a visitor may see and do in a project, by their role in its policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from feedback.policy import Policy
from feedback.policy.schema import same_email
from feedback.policy.tiers import ADMIN_ROLES, Role
from feedback.store import ProjectRow

ProjectRole = Role | Literal["annotator"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who opens a page."""

    kind: Literal["person", "program", "anybody"]  # signed in, with the service login, or by open access
    person: int | None = None  # Label Studio's user id
    email: str = ""
    owner: bool = False  # the user whose token the service has


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """One visitor, one project, and the role of the visitor in it."""

    visitor: Visitor
    row: ProjectRow
    policy: Policy
    role: ProjectRole


def role_of(visitor: Visitor, policy: Policy) -> ProjectRole:
    """Return the role of a visitor in a project.

    The policy's `[people]` gives roles by e-mail address; people who are not listed are annotators. As long as the
    policy names no admin or approver, the user whose token the service has is the admin, because the token can do
    everything anyway. Programs and visitors by open access are viewers.

    >>> role_of(Visitor("person", 3, "ann@example.com"), Policy()), role_of(Visitor("anybody"), Policy())
    ('annotator', 'viewer')
    """
    if visitor.kind != "person":
        return "viewer"
    if visitor.owner and not any(person.role in ADMIN_ROLES for person in policy.people.values()):
        return "admin"
    roles = (person.role for listed, person in policy.people.items() if same_email(listed, visitor.email))
    return next(roles, "annotator")


def may_view(role: ProjectRole) -> bool:
    """Return whether a role may see the project's figures; others see only their own."""
    return role != "annotator"


def may_administer(role: ProjectRole) -> bool:
    """Return whether a role may see other people's figures and pause, resume, start a turn and retry parked jobs."""
    return role in ADMIN_ROLES
