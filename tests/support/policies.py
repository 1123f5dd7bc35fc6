"""Policies that name code, and the code."""

from __future__ import annotations

from feedback.policy import Policy, read_policy

DAY_S = 86_400.0  # Label Studio's TASK_LOCK_TTL


HOSTED_MODEL = """
from label_studio_ml.model import LabelStudioMLBase

class Keywords(LabelStudioMLBase):
    pass
"""


def labelling_function(spec: str) -> Policy:
    return read_policy(f'[[labelling_functions]]\nname = "links"\nfunction = "{spec}"')
