"""What becomes of the answers to each control of a project: what a model learns, and why it does not learn the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ml_backend.errors import UnknownName
from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media import is_bucket_address, media_address, shown_address
from ml_backend.features.text import read_text
from ml_backend.label_config import Control, LabelConfig
from ml_backend.models import HOSTED_OPTIONS, HOSTED_OPTIONS_HINT, find_recipe
from ml_backend.models.table_classifier import is_table
from ml_backend.records import field_value

_TABLES = 'A table is an object, or a list such as [{"key": "age", "value": 3}].'
CheckAddress = Callable[[str], object]  # raises MediaError for an address that is never fetched; opens nothing
_COMPARED = "Its answers are compared, not learned: agreement, consensus and review work, tasks come in random order."
_MAX_FIELDS = 8  # of the tasks, in a message
_IMPORT_TEXTS = "The words of the address are learned. Import the texts themselves."
_OPTIONS = 'Label Studio shows a list such as [{"value": "Late"}, {"value": "Lost"}].'


@dataclass(frozen=True, slots=True)
class Learnability:
    """What becomes of the answers to one control."""

    control: Control
    is_read: bool  # so that agreement, consensus and review work; else the answers are stored, and not used
    reason: str  # why no model learns it: a sentence; "" where one does
    remedy: str  # a sentence; "" where there is none

    @property
    def is_learned(self) -> bool:
        """Return whether a model learns this control where the policy names it."""
        return not self.reason

    @property
    def reason_in_short(self) -> str:
        """Return the reason as a clause, for a sentence that names the control."""
        return self.control.problem if self.reason and self.control.problem else self.reason.rstrip(".")

    @property
    def use(self) -> str:
        """Return in a sentence what becomes of answers that are read but not learned; "" for others."""
        return _COMPARED if self.is_read and not self.is_learned else ""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What in the data of tasks keeps a model from learning a control that it could learn."""

    what: str  # a sentence that begins with a small letter
    remedy: str
    is_total: bool  # whether it concerns every task that was looked at


def list_learnability(config: LabelConfig, *, hosted: bool = False) -> tuple[Learnability, ...]:
    """Return what becomes of the answers to each control, in the order of the config.

    `hosted` says that a hosted model learns: only what no model can learn has a reason then.

    >>> from ml_backend.label_config import read_label_config
    >>> xml = '<View><Text name="t" value="$text"/><Rating name="stars" toName="t"/></View>'
    >>> print(list_learnability(read_label_config(xml))[0].reason)
    no installed recipe learns rating on text (control 'stars').
    """
    return tuple(_learnability(control, hosted=hosted) for control in config.controls)


def _learnability(control: Control, *, hosted: bool) -> Learnability:
    try:
        if not hosted or (control.problem and not control.hosted_only):
            find_recipe(control)
    except UnknownName as error:
        return Learnability(control, is_read=not control.unreadable, reason=str(error), remedy=error.hint)
    if hosted and control.options:
        return Learnability(control, True, HOSTED_OPTIONS.format(control), HOSTED_OPTIONS_HINT)
    return Learnability(control, is_read=True, reason="", remedy="")


def find_obstacles(control: Control, data: Sequence[Mapping[str, Any]], check_address: CheckAddress) -> list[Obstacle]:
    """Return what in the data of some tasks of a project keeps a model from learning a control.

    That the field is missing or holds something else, that a task brings no options along, or that its image is never
    fetched. `check_address` is asked for each address of an image. Only for a control that a model learns.
    """
    found: list[Obstacle] = []
    if control.options:
        offered = [control.options_of(item) for item in data]
        found += _obstacle(offered.count(()), data, f"no options in the field {control.options!r}", _OPTIONS)
        with_options, uses = sum(map(bool, offered)), Counter(chain.from_iterable(offered))
        if with_options > 1 == max(uses.values()):
            what = f"no option in the field {control.options!r} that another of them has"
            found += _obstacle(with_options, data, what, "A model learns options that many tasks have.")
        unseen = sum(_has_texts(field_value(item, control.options)) for item in data)
        what = f"options in the field {control.options!r} that Label Studio does not show, because they are texts"
        found += _obstacle(unseen, data, what, _OPTIONS)
    if control.object_kind == "image":
        found += _find_media_obstacles(control, data, check_address)
    elif control.object_kind == "table":
        missing = sum(not is_table(field_value(item, control.field)) for item in data)
        found += _obstacle(missing, data, f"no table in the field {control.field!r}", _TABLES)
    elif control.object_kind in ("text", "hypertext"):
        texts = [read_text(item, control.field, html=control.object_kind == "hypertext") for item in data]
        found += _obstacle(texts.count(None), data, f"no text in the field {control.field!r}", _describe_fields(data))
        stored = [text for text in filter(None, texts) if is_bucket_address(text)]
        what = f"an address of a bucket instead of a text: {shown_address(stored[0])}" if stored else ""
        found += _obstacle(len(stored), data, what, _IMPORT_TEXTS)
    return found


def _has_texts(options: object) -> bool:
    return isinstance(options, list) and any(isinstance(option, (str, int, float)) for option in options)


def _find_media_obstacles(
    control: Control, data: Sequence[Mapping[str, Any]], check_address: CheckAddress
) -> Iterator[Obstacle]:
    addresses = [media_address(item, control.field) for item in data]
    missing = sum(address is None for address in addresses)
    yield from _obstacle(missing, data, f"no address in the field {control.field!r}", _describe_fields(data))
    refused, examples = Counter[str](), dict[str, str]()
    for address in filter(None, addresses):
        try:
            check_address(address)
        except MediaError as error:
            remedy = error.hint or "Correct the addresses in the data of the tasks."
            refused[remedy] += 1
            examples.setdefault(remedy, str(error))
    for remedy, count in refused.most_common():
        yield from _obstacle(count, data, f"an image that is not opened: {examples[remedy]}".rstrip("."), remedy)


def _obstacle(count: int, data: Sequence[object], what: str, remedy: str) -> Iterator[Obstacle]:
    if count:
        many = "all" if count == len(data) else str(count)
        yield Obstacle(f"in {many} of the first {len(data)} tasks: {what}.", remedy, count == len(data))


def _describe_fields(data: Sequence[Mapping[str, Any]]) -> str:
    fields = sorted({f"{name} (a list)" if isinstance(item[name], list) else name for item in data for name in item})
    fields = fields[:_MAX_FIELDS]
    return f"The tasks have: {', '.join(fields)}." if fields else "The tasks have no data."
