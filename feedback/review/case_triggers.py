"""Needs: which tasks want a case now, and why: rules, disagreement, skips, clocks, draws and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from feedback.policy import Policy
from feedback.policy.conditions import fields_of
from feedback.policy.sections import seconds
from feedback.policy.tiers import Tier
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.cases import ON_REQUEST, SECOND_LOOK, Need
from feedback.review.overrides import segment_of
from feedback.stats.hash_sampling import draws
from feedback.store import CaseRow, Signal, Skip
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.records import Answer

DISAGREEMENT, SKIPPED = "disagreement", "skipped"
Says = Callable[[int], tuple[Answer | None, float | None]]  # what the champion says of a task


def needs(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    skips: Iterable[Skip],
    known: Mapping[int, str],
    *,
    model: str,
    says: Says,
) -> list[Need]:
    """Name the tasks without a case that want one; `known` holds the state of each task that has one."""
    policy = snapshot.policy
    first, above = policy.first_tier, policy.tier_after(policy.first_tier)
    settled = {one.task for one in consensus_labels.settled}
    skipped = {skip.task for skip in skips} if policy.tiers[first].skip_means == "escalate" else set()
    votes: dict[int, list[Answer]] = {}
    for vote in snapshot.votes:
        votes.setdefault(vote.task, []).append(vote.answer)
    found: list[Need] = []
    for task in snapshot.tasks:
        if task in known or task in settled:
            continue
        if task in snapshot.routes.tiers:
            found.append(_routed(snapshot, task, snapshot.routes.tiers[task], model, says))
        elif above and (why := stuck(votes.get(task, ()), task in consensus_labels.wanting, task in skipped)):
            found.append(_need(snapshot, task, above, *why, model, says))
        elif (
            has_clock(policy.tiers[first]) and task not in snapshot.routes.held and not snapshot.tasks[task].is_labeled
        ):
            found.append(_need(snapshot, task, first, "its clock runs", "", model, says))
    return found


def stuck(votes: Iterable[Answer], wanting: bool, skipped: bool) -> tuple[str, str] | None:  # noqa: FBT001
    """Why the first tier gets no further with an unsettled task, as (words, rule); None where it does."""
    said = list(votes)
    if skipped and not said:
        return "somebody skipped it, which asks for more experience", SKIPPED
    if said and not wanting:
        return f"{len(said)} people differ, and no more are asked", DISAGREEMENT
    return None


def requested(
    snapshot: ProjectSnapshot, signals: Iterable[Signal], *, model: str, says: Says
) -> list[tuple[Signal, Need]]:
    """What those who ask for a person are owed: a case at the tier that the policy promises, by when it promises it."""
    tier, within_s = owed_by(snapshot.policy), seconds(snapshot.policy.rights.within)
    found = []
    for signal in signals:
        if signal.task is not None and signal.task in snapshot.tasks:
            made = _need(snapshot, signal.task, tier, signal.note or "a person was asked for", ON_REQUEST, model, says)
            found.append((signal, replace(made, within_s=within_s, priority="high")))
    return found


def owed_by(policy: Policy) -> str:
    """The tier that looks when a person is asked for."""
    return policy.rights.tier or policy.tier_after(policy.first_tier) or policy.first_tier


def told_of(policy: Policy) -> dict[str, frozenset[str]]:
    """The signals that each rule looks at which sends tasks to a later tier."""
    found: dict[str, frozenset[str]] = {}
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        named = {field.split(".")[1] for field in fields_of(condition) if field.startswith("signal.")}
        if named and rule.to in policy.tiers and rule.to != policy.first_tier:
            found[rule.id] = frozenset(named)
    return found


def reported(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    cases: Mapping[int, CaseRow],
    told_s: Mapping[tuple[int, str], float],
    *,
    model: str,
    says: Says,
) -> list[Need]:
    """What people had decided, and somebody has told of since, so that a rule sends it to a later tier now.

    `told_s` says when by task and signal, `cases` holds those of such tasks.
    """
    rules, settled = told_of(snapshot.policy), {one.task for one in consensus_labels.settled}
    found: list[Need] = []
    for task, tier in snapshot.routes.tiers.items():
        names = rules.get(snapshot.routes.standing[task].rule, frozenset())
        last_s = max((told_s[task, name] for name in names if (task, name) in told_s), default=None)
        if last_s is None or task not in snapshot.tasks:
            continue
        case = cases.get(task)
        since_s = 0.0 if case is None else case.resolved_s if case.state == "resolved" else None
        if since_s is not None and last_s > since_s and (case is not None or task in settled):
            found.append(_routed(snapshot, task, tier, model, says))
    return found


def second_looks(
    snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, cases: Mapping[int, CaseRow], known: Mapping[int, str]
) -> list[Need]:
    """A random share of what people decided, to be decided again by somebody who sees nothing of the first time.

    Drawn by key on the task's content: nobody can tell beforehand, and a larger share keeps those of a smaller one.
    `cases` are the resolved ones by task; each is looked at again once.
    """
    policy = snapshot.policy
    above = policy.tier_after(policy.first_tier)
    if above is None or not policy.second_look.share:
        return []
    decided = [one for one in consensus_labels.settled if one.task in snapshot.units]
    drawn = draws(snapshot.draws.secret, "second look", [snapshot.units[one.task] for one in decided])
    found: list[Need] = []
    for one, share in zip(decided, drawn, strict=True):
        case = cases.get(one.task)
        once = case is not None and case.round == 1 and case.rule != SECOND_LOOK
        fresh = one.task not in known or once
        if share < policy.second_look.share and fresh:
            tier = policy.tier_after(case.tier) if case and case.tier in policy.tiers else above
            if tier is not None:
                words = "drawn at random for a second look"
                made = _need(snapshot, one.task, tier, words, SECOND_LOOK, "", lambda _task: (None, None))
                found.append(replace(made, proposal=one.answer, proposed_by="people", priority="low"))
    return found


def has_clock(tier: Tier) -> bool:
    """Whether somebody must act in a tier by a certain time."""
    return bool(tier.first_action_s or tier.resolve_s)


def _routed(snapshot: ProjectSnapshot, task: int, tier: str, model: str, says: Says) -> Need:
    standing = snapshot.routes.standing[task]
    rule = next((one for one in snapshot.policy.routing if one.id == standing.rule), None)
    why = (rule.reason if rule else "") or f"rule {standing.rule}"
    made = _need(snapshot, task, tier, why, standing.rule, model, says)
    return replace(made, skills=rule.skills if rule else (), priority=standing.priority)


def _need(snapshot: ProjectSnapshot, task: int, tier: str, why: str, rule: str, model: str, says: Says) -> Need:
    answer, confidence = says(task)
    standing = snapshot.routes.standing.get(task)
    by_rule = next((one for one in snapshot.policy.routing if standing and one.id == standing.rule), None)
    return Need(
        task,
        tier,
        why,
        rule=rule,
        priority=standing.priority if standing else "normal",
        skills=by_rule.skills if by_rule else (),
        segment=segment_of(snapshot, task),
        proposal=answer,
        proposed_by="model" if answer else "",
        confidence=confidence,
        model=model if answer else "",
    )
