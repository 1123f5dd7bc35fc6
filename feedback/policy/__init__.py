"""The policy: what one project wants of the loop, as a file that an admin can read aloud."""

from feedback.policy.schema import Policy, read_policy

__all__ = ["Policy", "read_policy"]
