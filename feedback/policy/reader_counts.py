"""How many people may still read a case of each tier, once those who have dealt with it before are left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from feedback.policy.schema import Policy
from feedback.policy.tiers import Person, Tier


def check_reader_counts(policy: Policy, users: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for each tier, or rule with skills, for whose cases too few people may be left.

    `users` are the addresses of the users of Label Studio; where the policy lists nobody, all of them may answer. None:
    unknown, so that nothing is said about a policy without [people].
    """
    everybody = policy.people or {email: Person(tiers=tuple(policy.tiers)) for email in users or ()}
    if not everybody:
        return
    for name, tier in list(policy.tiers.items())[1:]:
        asked = {f"tiers.{name}": tier.skills}
        asked |= {f"routing.{rule.id}": (*tier.skills, *rule.skills) for rule in policy.routing if rule.to == name}
        said = ""
        for key, skills in asked.items():
            readers = [
                person
                for person in everybody.values()
                if name in policy.tiers_of(person) and set(skills) <= set(person.skills if policy.people else skills)
            ]
            sentence = _describe(policy, name, tier, readers)
            if sentence and sentence != said:
                yield key, sentence
            said = said or sentence


def count_excluded(policy: Policy, tier: str, readers: Sequence[Person]) -> int:
    """Return how many of the people who may read a case of a tier can have dealt with it before, at most.

    Each earlier tier takes as many people as it asks about one case, from those who may answer there.
    """
    places = list[str]()
    for name in list(policy.tiers)[: list(policy.tiers).index(tier)]:
        places += [name] * _most_involved(policy, name, own_cases=policy.tiers[tier].own_cases)
    if not places or not readers:
        return 0
    may = np.array([[place in policy.tiers_of(person) for place in places] for person in readers], dtype=np.int8)
    return int((maximum_bipartite_matching(csr_array(may)) >= 0).sum())


def _most_involved(policy: Policy, name: str, *, own_cases: bool) -> int:
    """Return the largest number of people of an earlier tier who may not decide a case that comes from there."""
    tier, is_first = policy.tiers[name], name == policy.first_tier
    if own_cases:  # then only those who have escalated it may not
        escalates = tier.skip_means == "escalate" or (not is_first and "escalate" in tier.actions)
        return int(escalates)
    if not is_first:
        return tier.most_reviewers
    overlaps = [rule.overlap for rule in policy.routing if rule.overlap]
    return max(policy.overlap.votes if policy.overlap.share else 1, policy.overlap.max_votes, *overlaps, 1)


def _describe(policy: Policy, name: str, tier: Tier, readers: Sequence[Person]) -> str:
    """Return what is wrong with the number of readers of a tier; "" where they are enough."""
    n_readers = len(readers)
    if not n_readers:
        return ""  # nobody at all is another warning
    if n_readers < tier.n_reviewers:
        may = f"{n_readers} may answer in this tier"
        return f"each case needs {tier.n_reviewers} people, but {may}. No case can be decided."
    n_excluded = count_excluded(policy, name, readers)
    left = n_readers - n_excluded
    if left >= tier.most_reviewers:
        return ""
    needs = f"{tier.n_reviewers} {'person' if tier.n_reviewers == 1 else 'people'}"
    needs += "" if tier.n_reviewers == tier.most_reviewers else ", and a third where they differ"
    dealt = "may have escalated it" if tier.own_cases else "may have answered it in an earlier tier or escalated it"
    remedy = "Give more people this tier" + ("." if tier.own_cases else ", or other people the earlier ones.")
    return (
        f"a case needs {needs}, and may have {left} left: {n_readers} may answer in this tier, but up to "
        f"{n_excluded} of them {dealt}. {remedy}"
    )
