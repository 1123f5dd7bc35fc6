"""One annotation type a file: what a result says (decode), how we say it (encode), how far two answers are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ml_backend import plugins
from ml_backend.errors import CodecError, UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

BUILTINS: Mapping[str, str] = {
    "choices": "ml_backend.codecs.choices:Choices",
    "labels": "ml_backend.codecs.spans:Spans",
    "number": "ml_backend.codecs.number:Number",
    "pairwise": "ml_backend.codecs.pairwise:Pairwise",
    "rating": "ml_backend.codecs.rating:Rating",
    "rectanglelabels": "ml_backend.codecs.boxes:Boxes",
    "taxonomy": "ml_backend.codecs.taxonomy:Taxonomy",
}


class Codec(Protocol):
    """A type of answer. Stateless; made once, used everywhere."""

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Read the regions of one control into one answer; CodecError says what is wrong."""
        ...

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Write an answer as Label Studio regions; `score` is the calibrated confidence."""
        ...

    def distance(self, a: Answer, b: Answer) -> float:
        """How far two answers are apart, in [0, 1]; 0 for equal ones, symmetric."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one result says, control by control, and what in it could not be read."""

    answers: Mapping[str, Answer]  # by control name
    problems: tuple[str, ...]


def codec(kind: str) -> Codec:
    """Give the codec of a control kind; UnknownName where there is none."""
    made: Codec = plugins.load("hitl.codecs", kind, BUILTINS)()
    return made


def decode_result(result: Any) -> Decoded:
    """Read a whole result; garbage costs its own control and nothing else. Never raises on any JSON.

    >>> region = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["A"]}}
    >>> decode_result([region, {"foo": 1}])
    Decoded(answers={'c': Answer(kind='choices', value=('A',))}, problems=('region 1: no from_name or type',))
    """
    if result is None:
        return Decoded({}, ())
    if not isinstance(result, (list, tuple)):
        return Decoded({}, (f"the result is a {type(result).__name__}, wanted a list of regions",))
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
            answers[name] = codec(kind).decode(regions)
        except (CodecError, UnknownName) as error:
            problems.append(f"control {name}: {error}")
    return Decoded(answers, tuple(problems))
