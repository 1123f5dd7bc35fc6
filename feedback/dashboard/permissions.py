"""Rights: what a visitor may see and do in a project, by the role that its policy gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from feedback.policy import Policy
from feedback.policy.schema import same_email
from feedback.policy.tiers import Role
from feedback.store import ProjectRow

Standing = Role | Literal["annotator"]
_RULING = ("admin", "approver")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody in front of the pages."""

    kind: Literal["person", "program", "anybody"]  # signed in, with the service's own login, or through an open door
    person: int | None = None  # Label Studio's user id
    email: str = ""
    owner: bool = False  # the user whose token the service has


@dataclass(frozen=True, slots=True)
class Look:
    """One visitor before one project."""

    visitor: Visitor
    row: ProjectRow
    policy: Policy
    role: Standing


def standing(visitor: Visitor, policy: Policy) -> Standing:
    """Give the role of a visitor in a project.

    By e-mail address from `[people]`. While the policy names no admin or approver, the user whose token the service
    has is the admin: that token can do all of it anyway. Whoever is not listed is an annotator; programs and an open
    door may look.

    >>> standing(Visitor("person", 3, "ann@example.com"), Policy()), standing(Visitor("anybody"), Policy())
    ('annotator', 'viewer')
    """
    if visitor.kind != "person":
        return "viewer"
    if visitor.owner and not any(one.role in _RULING for one in policy.people.values()):
        return "admin"
    roles = (one.role for listed, one in policy.people.items() if same_email(listed, visitor.email))
    return next(roles, "annotator")


def may_look(role: Standing) -> bool:
    """Whether somebody sees the project's figures; others see their own."""
    return role != "annotator"


def may_rule(role: Standing) -> bool:
    """Whether somebody sees people's figures, and may pause, resume, start a turn and take work up again."""
    return role in _RULING
