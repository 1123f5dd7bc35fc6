"""Read label configs with label-studio-sdk into controls; no other module parses them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.bytes_cache import cached_in_bytes
from ml_backend.errors import LabelConfigError

MAX_BYTES = 1 << 20  # a real config has a few kB; a larger one is not parsed


@dataclass(frozen=True, slots=True)
class Control:
    """One control of a label config: its name, its kind, its labels, and the data field that its object shows."""

    name: str  # from_name
    to_name: str
    kind: str  # codec name, the lower-cased tag: "choices", "rating", "labels", ...
    labels: tuple[str, ...]  # in the order of the config; () where the control has none
    multiple: bool  # accepts several labels at once
    object_kind: str  # "text", "image", "hypertext", ... lower-cased tag of the object
    field: str  # path into task.data ("text", "order.note"); "" where the object shows no data field

    @staticmethod
    def load(state: Mapping[str, Any]) -> Control:
        """Build the control of a JSON object with its fields."""
        return Control(**{**state, "labels": tuple(state["labels"])})


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A checked label config; `hash` changes exactly when its text changes."""

    xml: str
    hash: str
    controls: tuple[Control, ...]

    def control(self, name: str = "") -> Control:
        """Return the control with this name, or the first one without a name; LabelConfigError where there is none."""
        for control in self.controls:
            if name in ("", control.name):
                return control
        if not self.controls:
            raise LabelConfigError("the label config has no control such as <Choices>, so there is nothing to label.")
        names = ", ".join(control.name for control in self.controls)
        raise LabelConfigError(
            f"no control called {name!r} in the label config; it has: {names}.",
            hint="Set control in [model] to one of these names in the project's hitl.toml.",
        )

    def matching_control(self, learned: Control) -> Control | None:
        """Return the control that asks the question a model learned to answer; None where the question has changed.

        Same means: same name, kind, object kind and field, and at least one shared label. Labels may have been added or
        removed; the bundle leaves out removed ones.
        """
        for control in self.controls:
            if control.name == learned.name:
                now, before = ((each.kind, each.object_kind, each.field) for each in (control, learned))
                shared = not (control.labels and learned.labels) or not set(control.labels).isdisjoint(learned.labels)
                return control if now == before and shared else None
        return None


def _size(xml: str, config: LabelConfig) -> int:
    """Return the bytes of a label config in the cache: its text, and its labels as objects of their own."""
    labels = [label for control in config.controls for label in control.labels]
    return 4 * len(xml) + sum(map(len, labels)) + 100 * len(labels)  # up to four bytes a letter


@cached_in_bytes(16 << 20, size_of=_size)
def read_label_config(xml: str) -> LabelConfig:
    """Read the XML of a label config; results are cached by text.

    Raises LabelConfigError where it is not XML, is larger than 1 MiB, or a control names a missing object.

    >>> xml = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
    >>> read_label_config(xml).control().labels
    ('A',)
    """
    if not isinstance(xml, str) or not xml.strip():
        raise LabelConfigError("the label config is empty; wanted XML with a control tag such as <Choices>.")
    if len(xml.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise LabelConfigError(f"the label config is larger than {MAX_BYTES} bytes.")
    # reason: the SDK takes half a second to import, and a start without a model does not need it
    from label_studio_sdk.label_interface.interface import LabelInterface

    try:
        interface = LabelInterface(xml)
        controls = tuple(_control(tag, interface) for tag in interface.controls)
    except LabelConfigError:
        raise
    except Exception as error:
        raise LabelConfigError(f"the label config cannot be read: {str(error)[:200]}") from error
    return LabelConfig(xml, hashlib.sha256(xml.encode()).hexdigest()[:16], controls)


def _control(tag: Any, interface: Any) -> Control:
    names = list(tag.to_name or [])
    if not names:
        raise LabelConfigError(f"control {tag.name!r} has no toName.")
    target = interface.get_object(names[0])
    value = str(target.value or "")
    return Control(
        name=tag.name,
        to_name=",".join(names),
        kind=tag.tag.lower(),
        labels=tuple(map(str, tag.labels or ())),
        multiple=str(tag.attr.get("choice", "single")).startswith("multiple"),
        object_kind=target.tag.lower(),
        field=value.lstrip("$") if value.startswith("$") else "",
    )
