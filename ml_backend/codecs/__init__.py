"""Codecs, one per annotation type: decode results to answers, encode answers, and measure their distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ml_backend import plugins
from ml_backend.codecs.regions import place_of
from ml_backend.label_config import Control
from ml_backend.left_out import contained, describe_error
from ml_backend.number_format import format_count
from ml_backend.records import Answer

_MAX_WORDS = 2_000  # characters of an answer in words
_MAX_KIND = 40
UNLABELLED = ("datetime", "number", "ranker", "rating", "textarea")  # nothing in these answers is a label of the config
PER_REGION = "per_region"  # the kind of an answer that is about parts of a task; no annotation type of Label Studio
_OF_WHOLE_TASKS = (
    "choices",
    "datetime",
    "number",
    "rating",
    "taxonomy",
    "textarea",
)  # or of regions, if their control says so


class Codec(Protocol):
    """One annotation type, without state; regions are those of https://labelstud.io/guide/export.

    `ml_backend.testing.check_codec` checks an implementation.
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the answer of one control's regions; CodecError says what is wrong."""

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Return an answer as Label Studio regions; `score` is the calibrated confidence in [0, 1], or None."""

    def distance(self, a: Answer, b: Answer) -> float:
        """Return the distance of two answers in [0, 1]; symmetric, and 0 only for equal answers."""

    def describe(self, answer: Answer, text: str = "", /) -> str:
        """Return an answer in words; `text` is what the labelled object shows, for codecs that quote from it."""


@dataclass(frozen=True, slots=True)
class DecodedResult:
    """The answers of one result by control, and its problems."""

    answers: Mapping[str, Answer]  # by control name
    problems: tuple[str, ...]


def get_codec(kind: str) -> Codec:
    """Return the codec of a control kind; UnknownName where there is none."""
    builtins = {PER_REGION: "ml_backend.codecs.per_region:PerRegion"} if kind == PER_REGION else plugins.CODECS
    codec: Codec = plugins.load("hitl.codecs", kind, builtins)()
    return codec


def describe_answer(answer: Answer, text: str = "") -> str:
    """Return an answer as people read it, in up to 2,000 characters; never JSON.

    `text` is the text that the answer labels, if there is one: spans quote from it.

    >>> describe_answer(Answer("labels", ((0, 5, "PER"),)), "Alice laughed"), describe_answer(Answer("chat", ()))
    ('PER "Alice" (0 to 5)', 'an answer of type chat')
    """
    try:
        words = get_codec(answer.kind).describe(answer, text)
    except Exception:  # noqa: BLE001
        # no codec, one of a plug-in that cannot describe, or a stored value that is not of its kind
        return f"an answer of type {cut_text(str(answer.kind), _MAX_KIND)}"
    return cut_text(words, _MAX_WORDS)


def describe_result(result: Any) -> str:
    """Return a whole result in words, control by control, also where a control has no codec.

    >>> region = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["A"]}}
    >>> describe_result([region, {"from_name": "note", "type": "textarea", "value": {"text": ["late"]}}])
    'c: A; note: late'
    """
    regions = [region for region in result if isinstance(region, Mapping)] if isinstance(result, list) else []
    answers = decode_result(regions).answers
    words: dict[str, str] = {}
    for region in regions:
        name = str(region.get("from_name"))
        words[name] = describe_answer(answers.get(name, Answer(str(region.get("type")), None)))
    return cut_text("; ".join(f"{name}: {text}" for name, text in words.items()), _MAX_WORDS)


def cut_text(text: str, length: int) -> str:
    """Return a text, cut with a note where it is longer than `length` characters.

    >>> cut_text("spam", 3)
    'spa… (cut: 4 characters)'
    """
    return text if len(text) <= length else f"{text[:length]}… (cut: {format_count(len(text))} characters)"


def answer_distance(a: Answer, b: Answer) -> float:
    """Return the distance of two answers by their codec, in [0, 1]; answers that it cannot compare count as different.

    >>> answer_distance(Answer("rating", 1), Answer("rating", 4)), answer_distance(Answer("rating", 1), Answer("x", 1))
    (0.75, 1.0)
    """
    if a.kind != b.kind:
        return 1.0
    with contained("compare answers", f"answers of the type {a.kind}"):
        found = float(get_codec(a.kind).distance(a, b))
        if 0.0 <= found <= 1.0:  # a plug-in's may be NaN
            return found
    return float(a != b)


def decode_result(result: Any) -> DecodedResult:
    """Decode a whole result; a wrong region affects its own control only. Raises on no JSON value.

    >>> region = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["A"]}}
    >>> decode_result([region, {"foo": 1}])
    DecodedResult(answers={'c': Answer(kind='choices', value=('A',))}, problems=('region 1: no from_name or type',))
    """
    if result is None:
        return DecodedResult({}, ())
    if not isinstance(result, (list, tuple)):
        return DecodedResult({}, (f"the result is a {type(result).__name__}, wanted a list of regions",))
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    problems: list[str] = []
    for place, region in enumerate(result):
        name, kind = (region.get("from_name"), region.get("type")) if isinstance(region, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(kind, str):
            problems.append(f"region {place}: no from_name or type")
            continue
        grouped.setdefault((name, kind), []).append(region)
    answers: dict[str, Answer] = {}
    for (name, kind), regions in grouped.items():
        try:
            is_part = kind in _OF_WHOLE_TASKS and any(map(place_of, regions))
            answers[name] = get_codec(PER_REGION if is_part else kind).decode(regions)
        except Exception as error:  # noqa: BLE001 - whatever a region holds, the other controls are read
            problems.append(f"control {name}: {describe_error(error)}")
    return DecodedResult(answers, tuple(problems))
