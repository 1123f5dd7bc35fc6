"""hitl.toml, the policy of one project: its schema, conditions, explanation and simulation."""

from feedback.policy.hitl_toml import read_policy
from feedback.policy.schema import Policy

__all__ = ["Policy", "read_policy"]
