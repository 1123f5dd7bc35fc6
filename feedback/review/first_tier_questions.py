"""The policy's questions in the first tier: the project's own label config asks them only where a team adds them."""

from __future__ import annotations

from xml.etree import ElementTree as ET  # `read_label_config` has parsed and bounded the config

from feedback.policy import Policy
from feedback.review.review_task_content import question_elements
from ml_backend.label_config import Control, LabelConfig


def list_missing_questions(config: LabelConfig, policy: Policy) -> list[str]:
    """Return the names of the questions that no control of a label config asks."""
    asked = {control.name for control in config.controls}
    return [name for name in policy.feedback if name not in asked]


def add_questions(config: LabelConfig, control: Control, policy: Policy) -> str:
    """Return the label config with the questions that it does not ask, below its own controls, about the same object.

    Each control has the name of its question, by which its answers are read.
    """
    root = ET.fromstring(config.xml)  # noqa: S314  # nosec B314  # parsed before, and bounded, by read_label_config
    for name in list_missing_questions(config, policy):
        root.extend(question_elements(name, policy.feedback[name], name, control.to_name.split(",", 1)[0]))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")
