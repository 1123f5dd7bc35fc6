"""Label configs are read here and nowhere else, by label-studio-sdk, into controls that we can answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ml_backend.errors import LabelConfigError

_MAX_BYTES = 1 << 20  # a real config is a few kB; a hostile one is not parsed at all


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that people answer: its name, its kind, its labels and the data field that it is about."""

    name: str  # from_name
    to_name: str
    kind: str  # codec name, the lower-cased tag: "choices", "rating", "labels", ...
    labels: tuple[str, ...]  # in the order of the config; () where the control has none
    multiple: bool  # several labels at once
    object_kind: str  # "text", "image", "hypertext", ... lower-cased tag of the object
    field: str  # path into task.data ("text", "order.note"); "" where the object shows no data field


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A checked label config; `hash` changes exactly when the text does."""

    xml: str
    hash: str
    controls: tuple[Control, ...]

    def control(self, name: str = "") -> Control:
        """Find a control by name; without a name, the first.

        Raises LabelConfigError when there is none.
        """
        for control in self.controls:
            if name in ("", control.name):
                return control
        if not self.controls:
            raise LabelConfigError("the label config asks people nothing: it has no control such as <Choices>.")
        known = ", ".join(control.name for control in self.controls)
        raise LabelConfigError(
            f"no control called {name!r} in the label config; it has: {known}.",
            hint="Name one of these as control in [model] of the project's hitl.toml.",
        )

    def same_question(self, learned: Control) -> Control | None:
        """The control that asks what a model learned to answer: same name, kind, object, field, some label.

        Labels may have come or gone since; the bundle leaves out those that went. None where the question is another.
        """
        for given in self.controls:
            if given.name == learned.name:
                same = (given.kind, given.object_kind, given.field) == (
                    learned.kind,
                    learned.object_kind,
                    learned.field,
                )
                shared = not (given.labels and learned.labels) or not set(given.labels).isdisjoint(learned.labels)
                return given if same and shared else None
        return None


@lru_cache(maxsize=256)
def read_label_config(xml: str) -> LabelConfig:
    """Read a label config; the same text gives the same object.

    Raises LabelConfigError on what is not XML, too large, or names an object that is missing.

    >>> xml = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
    >>> read_label_config(xml).control().labels
    ('A',)
    """
    if not isinstance(xml, str) or not xml.strip():
        raise LabelConfigError("the label config is empty; wanted XML with a control tag such as <Choices>.")
    if len(xml.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        raise LabelConfigError(f"the label config is larger than {_MAX_BYTES} bytes.")
    # reason: the SDK takes half a second to import, and serving a cold start needs it only here
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
    shown = str(target.value or "")
    return Control(
        name=tag.name,
        to_name=",".join(names),
        kind=tag.tag.lower(),
        labels=tuple(map(str, tag.labels or ())),
        multiple=str(tag.attr.get("choice", "single")).startswith("multiple"),
        object_kind=target.tag.lower(),
        field=shown.lstrip("$") if shown.startswith("$") else "",
    )
