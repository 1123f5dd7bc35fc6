"""Read label configs with label-studio-sdk into controls; no other module parses them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

from ml_backend import plugins
from ml_backend.bytes_cache import cached_in_bytes
from ml_backend.clean_text import clean_text
from ml_backend.errors import LabelConfigError
from ml_backend.records import field_value

MAX_BYTES = 1 << 20  # a real config has a few kB; a larger one is not parsed
_DRAWN = ("image", "pdf", "video")  # objects on which <Labels> labels regions that other tags draw
_MAX_DEPTH = 50  # of a nested list in a task's data
PATH = " > "  # between the labels of a path in a nested list, as in "Billing > Refund"
# Label Studio and its editor take tags and attributes in any case; the SDK knows these in one spelling only
_TAGS = {name.lower(): name for name in ("Choice", "Filter", "Label", "Relation")}
_ATTRIBUTES = {name.lower(): name for name in ("name", "toName", "value", "valueList", "alias", "choice", "apiUrl")}
_TASK_FIELD = re.compile(r"\$([\w[\].{}]+)")  # in a label; as Label Studio's editor reads it
_WHOLE_TASK = "Add a control without {} for a question about the whole task."
_PARTS = (("perregion", "perRegion", "region"), ("peritem", "perItem", "item"), ("permessage", "perMessage", "message"))


@dataclass(frozen=True, slots=True)
class Control:
    """One control of a label config: its name, its kind, its labels, and the data field that its object shows."""

    name: str  # from_name
    to_name: str
    kind: str  # codec name, the lower-cased tag: "choices", "rating", "labels", ...
    labels: tuple[str, ...]  # clean, in the order of the config; () where the control has none
    multiple: bool  # accepts several labels at once
    object_kind: str  # "text", "image", "hypertext", ... lower-cased tag of the object
    field: str  # path into task.data ("text", "order.note"); "" where the object shows no data field
    nested: bool = False  # answers are paths (`allowNested`); a label is then "Billing > Refund"
    options: str = ""  # path into task.data of the labels that each task brings along (dynamic Choices); "" for none
    unreadable: bool = False  # nothing of ours can use its answers: another tool's drawings, texts, names of a Repeater
    problem: str = ""  # why no model can learn it, as far as the config tells: a clause that follows "because"
    hosted_only: bool = False  # whether the problem is what it shows: a hosted model may read that by itself
    remedy: str = ""  # what to do about the problem: a sentence
    written: tuple[str, ...] = ()  # labels, whole paths where `nested`, that Label Studio has in an unclean spelling

    def options_of(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the labels that people can choose on a task: those of the config, then those that it brings along.

        >>> control = Control("c", "t", "choices", ("Other",), False, "text", "text", options="options")
        >>> control.options_of({"options": [{"value": "Late"}, {"value": "Lost"}]})
        ('Other', 'Late', 'Lost')
        """
        if not self.options:
            return self.labels
        own = (_clean_label(label, paths=self.nested) for label in self._read_options(data))
        return tuple(dict.fromkeys([*self.labels, *own]))

    def on_task(self, data: Mapping[str, Any]) -> Control:
        """Return the control with the spelling of the labels that a task brings along."""
        written = _unclean(self._read_options(data), paths=self.nested) if self.options else ()
        return replace(self, written=(*self.written, *written)) if written else self

    @property
    def spelling(self) -> Mapping[str, str]:
        """Return how Label Studio spells labels where it is not our way: it compares them letter by letter."""
        return _spelling(self.written, paths=self.nested)

    def _read_options(self, data: Mapping[str, Any]) -> list[str]:
        return list(_read_options(field_value(data, self.options), nested=self.nested))

    @staticmethod
    def load(state: Mapping[str, Any]) -> Control:
        """Build the control of a JSON object with its fields."""
        return Control(**{**state, "labels": tuple(state["labels"]), "written": tuple(state.get("written", ()))})


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A checked label config; `hash` changes exactly when its text changes."""

    xml: str
    hash: str
    controls: tuple[Control, ...]
    texts: tuple[tuple[str, bool], ...] = ()  # fields that people see as text, and whether it is HTML

    def control(self, name: str = "") -> Control:
        """Return the control with this name; LabelConfigError where there is none.

        Without a name it is the first that asks for one label of a task, else the first whose answers can be learned
        or compared, else the first.
        """
        ranked = self.controls if name else sorted(self.controls, key=_rank)
        for control in ranked:
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

        Same means: same name, kind, object kind and fields, at least one shared label, and no problem. Labels may have
        been added or removed; the bundle leaves out removed ones.
        """
        for control in self.controls:
            if control.name == learned.name:
                now, before = (
                    (each.kind, each.object_kind, each.field, each.options, each.nested, each.hosted_only)
                    for each in (control, learned)
                )
                shared = not (control.labels and learned.labels) or not set(control.labels).isdisjoint(learned.labels)
                learnable = control.hosted_only or not control.problem
                return control if now == before and shared and learnable else None
        return None


def _size(xml: str, config: LabelConfig) -> int:
    """Return the bytes of a label config in the cache: its text, and its labels as objects of their own."""
    labels = [label for control in config.controls for label in control.labels]
    return 4 * len(xml) + sum(map(len, labels)) + 100 * len(labels)  # up to four bytes a letter


@cached_in_bytes(16 << 20, size_of=_size)
def read_label_config(xml: str) -> LabelConfig:
    """Read the XML of a label config; results are cached by text.

    Tags and attributes may be in any case. A control that no model can learn says so in its `problem`.
    Raises LabelConfigError where it is not XML, is larger than 1 MiB, or a control names a missing object.

    >>> xml = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
    >>> read_label_config(xml).control().labels
    ('A',)
    """
    if not isinstance(xml, str) or not xml.strip():
        raise LabelConfigError("the label config is empty; wanted XML with a control tag such as <Choices>.")
    if len(xml.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise LabelConfigError(f"the label config is larger than {MAX_BYTES} bytes.")
    try:
        interface = make_label_interface(xml)
        root = interface._tree  # noqa: SLF001 - of the SDK; its tags do not know where in the tree they stand
        elements = {element.get("name"): element for element in root.iter() if element.get("name")}
        controls = tuple(_control(tag, interface, elements) for tag in interface.controls)
        texts = tuple(dict.fromkeys(_list_texts(interface.objects)))
    except LabelConfigError:
        raise
    except Exception as error:
        raise LabelConfigError(f"the label config cannot be read: {str(error)[:200]}") from error
    return LabelConfig(xml, hashlib.sha256(xml.encode()).hexdigest()[:16], controls, texts)


def make_label_interface(xml: str) -> Any:
    """Return the SDK's LabelInterface of a label config, whatever the case of its tags and attributes."""
    # reason: the SDK takes half a second to import, and a start without a model does not need it
    from label_studio_sdk.label_interface.interface import LabelInterface

    root = ET.fromstring(xml)  # noqa: S314  # nosec B314  # expat bounds entities, and the caller the bytes
    for element in root.iter():
        element.tag = _TAGS.get(element.tag.lower(), element.tag)
        for name in tuple(element.attrib):
            if (usual := _ATTRIBUTES.get(name.lower(), name)) not in element.attrib:
                element.attrib[usual] = element.attrib.pop(name)
        text = (element.text or "").strip()
        if element.tag in ("Choice", "Label") and text and not len(element):
            element.attrib["value"] = text  # as the editor does
    return LabelInterface(ET.tostring(root, encoding="unicode"))


def _control(tag: Any, interface: Any, elements: Mapping[str, Any]) -> Control:
    kind, attributes = tag.tag.lower(), _attributes(tag.attr)
    names = [name.strip() for name in tag.to_name or []]
    known = {target.name for target in interface.objects}
    if missing := [name for name in names or [""] if name not in known]:
        raise LabelConfigError(f"control {tag.name!r} is about {missing[0]!r}, which is no object of the label config.")
    target = interface.get_object(names[0])
    value = str(target.value or "")
    source, is_nested = (
        attributes.get("value", ""),
        kind == "choices" and attributes.get("allownested", "").lower() == "true",
    )
    repeaters = [each for each in elements[tag.name].iterancestors() if str(each.tag).lower() == "repeater"]
    is_repeated = bool(repeaters) or "{{" in tag.name
    is_of_tool = kind == "labels" and target.tag.lower() in _DRAWN
    labels = list(_choices(elements[tag.name], nested=is_nested) if kind == "choices" else map(str, tag.labels or ()))
    control = Control(
        name=tag.name,
        to_name=",".join(names),
        kind=kind,
        labels=tuple(dict.fromkeys(_clean_label(label, paths=is_nested) for label in labels)),
        multiple=str(attributes.get("choice", "single")).startswith("multiple"),
        object_kind=target.tag.lower(),
        field=value.lstrip("$") if value.startswith("$") and "$" not in value[1:] else "",
        nested=is_nested,
        options=source.lstrip("$") if kind == "choices" and source.startswith("$") else "",
        unreadable=is_repeated or is_of_tool or kind not in plugins.names("hitl.codecs", plugins.CODECS),
        written=_unclean(labels, paths=is_nested),
    )
    problem, remedy = _find_problem_of_answers(control, elements[tag.name])
    if problem:
        return replace(control, problem=problem, remedy=remedy)
    problem, remedy = _find_problem_of_object(control, _attributes(target.attr))
    return replace(control, problem=problem, remedy=remedy, hosted_only=bool(problem))


def _list_texts(objects: Iterable[Any]) -> Iterator[tuple[str, bool]]:
    """Yield the field of each object that shows a text as it is, and whether it is HTML."""
    for shown in objects:
        kind, value, attributes = shown.tag.lower(), str(shown.value or ""), _attributes(shown.attr)
        is_plain = attributes.get("valuetype") != "url" and attributes.get("encoding", "none") == "none"
        if kind in ("text", "hypertext") and is_plain and value.startswith("$") and "$" not in value[1:]:
            yield value.removeprefix("$"), kind == "hypertext"


def _attributes(found: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in found.items()}


def _name_of(option: Any) -> Any:
    """Return what the editor submits for an element, or an object in a task's data."""
    return option.get("alias") or option.get("value")


def _find_problem_of_answers(control: Control, element: Any) -> tuple[str, str]:
    """Return why the answers of a control teach no model, and the remedy; two empty texts where they may."""
    own = _attributes(element.attrib)
    if control.kind == "labels" and control.object_kind in _DRAWN:
        what = "it labels what another tool draws; such answers are stored, and not used"
        return what, "Use <RectangleLabels> for boxes on images."
    if control.kind not in plugins.names("hitl.codecs", plugins.CODECS):
        what = f"hitl cannot read answers of the kind {control.kind!r}, so they are stored, and not used"
        return what, "A plug-in of the group hitl.codecs adds it."
    if control.unreadable:
        what = "it stands in a Repeater, so its answers arrive under another name for each part of a task"
        return f"{what}, are stored, and not used", "Ask about the whole task in a control outside the Repeater."
    for name, usual, part in _PARTS:
        if own.get(name, "").lower() == "true":
            return f"it asks about each {part} ({usual}), not about the whole task", _WHOLE_TASK.format(usual)
    if control.nested and any(PATH in str(_name_of(choice)) for choice in element.iter("Choice")):
        return f"a label contains {PATH!r}, which stands between the labels of a path", "Rename that label."
    wants_labels = control.kind in ("choices", "taxonomy") or control.kind.endswith("labels")
    if wants_labels and not (control.labels or own.get("value", "").startswith("$") or own.get("apiurl")):
        child = "Label" if control.kind.endswith("labels") else "Choice"
        return "its list of labels is empty", f'Add <{child} value="..."/> to it in the label config.'
    return _find_problem_of_labels(control, element) if control.kind == "choices" else ("", "")


def _find_problem_of_labels(control: Control, element: Any) -> tuple[str, str]:
    """Return why the labels of Choices teach no model, and the remedy; two empty texts where they may."""
    for choice in element.iter("Choice"):
        if not choice.get("alias") and (found := _TASK_FIELD.search(choice.get("value", ""))):
            what = f"in the label {choice.get('value')!r} Label Studio shows the field {found[1]!r} of each task"
            return what, "Give each task its labels as a list, and name that field in value of <Choices>."
    if "" in control.labels:
        return "one of its labels is empty", "Give each label a value in the label config."
    if len(control.labels) == 1 and not control.options:
        what = f"it has no label but {control.labels[0]!r}, so there is nothing to choose between"
        return what, "Add the label that the other tasks get."
    return "", ""


def _find_problem_of_object(control: Control, shown: Mapping[str, str]) -> tuple[str, str]:
    """Return why our recipes cannot read what a control is about, and the remedy; two empty texts where they may.

    `shown` are the attributes of its first object, with names in small letters.
    """
    if "," in control.to_name:
        what = f"it is about several objects ({control.to_name.replace(',', ', ')}), and a model reads one"
        return what, "Show what is compared in one object, or name one of them in toName."
    if shown.get("valuetype") == "url":
        what = f'what it shows lies behind the address in the field {control.field!r} (valueType="url")'
        remedy = 'Import the content itself, and remove valueType="url" from the label config.'
        return f"{what}, which is not fetched", remedy
    if (encoding := shown.get("encoding", "none")) != "none":
        what = f'the field {control.field!r} is encoded (encoding="{encoding}"), and is not decoded'
        return what, "Import the text as it is, and remove encoding from the label config."
    if "valuelist" in shown:
        return "its object shows several files (valueList), and a model reads one", "Import one file a task."
    return "", ""


def _choices(element: Any, *, nested: bool, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the labels that people can choose below an element; those of a nested list as paths, without branches."""
    for child in element:
        value = _name_of(child)
        if child.tag != "Choice":
            yield from _choices(child, nested=nested, above=above)
        elif value is not None:
            path = (*above, value)
            inner = list(_choices(child, nested=True, above=path)) if nested else []
            yield from inner or [PATH.join(path)]


def _read_options(value: Any, *, nested: bool, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the labels of a list of options in a task's data: texts, or objects with `value` and perhaps `children`."""
    for option in value if isinstance(value, list) and len(above) < _MAX_DEPTH else ():
        named = isinstance(option, Mapping)
        name = _name_of(option) if named else option
        if isinstance(name, (str, int, float)) and clean_text(str(name)):
            path = (*above, str(name))
            inner = list(_read_options(option.get("children"), nested=True, above=path)) if nested and named else []
            yield from inner or [PATH.join(path)]


def _unclean(labels: Iterable[str], *, paths: bool) -> tuple[str, ...]:
    """Return the labels that are not clean, without those that also occur clean."""
    found = {label: _clean_label(label, paths=paths) for label in labels}
    return tuple(label for label, clean in found.items() if clean != label and clean not in found)


@lru_cache(maxsize=16)  # thousands of labels, and a prediction of each task asks for it
def _spelling(written: tuple[str, ...], *, paths: bool) -> Mapping[str, str]:
    return {_clean_label(label, paths=paths): label for label in written}


def _clean_label(label: str, *, paths: bool) -> str:
    """Return a label as `clean_text` does; of a path each part."""
    return PATH.join(map(clean_text, label.split(PATH))) if paths else clean_text(label)


def _rank(control: Control) -> int:
    is_single = control.kind == "choices" and not control.multiple and bool(control.field)
    if control.unreadable or control.kind == "textarea":  # a text is a note more often than the question
        return 4 if control.unreadable else 3
    return 2 if control.problem else 0 if is_single else 1
