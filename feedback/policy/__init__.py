"""The policy: what one project wants of the loop, as a file that an admin can read aloud."""

from feedback.policy.loading import read_policy
from feedback.policy.schema import Policy

__all__ = ["Policy", "read_policy"]
