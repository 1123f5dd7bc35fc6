"""The codec contract: what every type of answer must keep, run over ours and over a plug-in author's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from ml_backend.codecs import Codec
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

_NEARLY = 1e-9
_BAD: tuple[Any, ...] = (None, {}, [], [[]], [None], True, float("nan"), 10**400, {"a": [1]})
_VALUES: tuple[Any, ...] = (
    *({name: bad} for name in ("choices", "taxonomy", "rating", "number", "selected", "text") for bad in _BAD),
    *({"start": 0, "end": bad, "labels": ["A"]} for bad in _BAD),
    *({"start": 0, "end": 5, "labels": bad} for bad in _BAD),
    *({"x": bad, "y": 0, "width": 5, "height": 5, "rectanglelabels": ["A"]} for bad in _BAD),
    *({"x": 0, "y": 0, "width": 5, "height": 5, "rectanglelabels": bad} for bad in _BAD),
    {"start": 5, "end": 1, "labels": ["A"]},
    {"x": 0, "y": 0, "width": -5, "height": 5, "rectanglelabels": ["A"]},
    {"foo": 1},
    *_BAD,
)
_GARBAGE: tuple[Sequence[Mapping[str, Any]], ...] = ([], [{}], *([{"value": value}] for value in _VALUES))


def check_codec(codec: Codec, answers: Sequence[Answer], control: Control) -> None:
    """Run the contract over example answers (at least two different ones); CodecError says which promise broke.

    >>> from ml_backend.codecs.rating import Rating
    >>> control = Control("stars", "text", "rating", (), False, "text", "text")
    >>> check_codec(Rating(), [Answer("rating", 1), Answer("rating", 5)], control)
    """
    _demand(kept=len(set(answers)) >= 2, promise="the contract needs two different answers")
    for answer in answers:
        _check_words(codec, answer, control)
    for a, b in combinations(answers, 2):
        there, back = codec.distance(a, b), codec.distance(b, a)
        _demand(kept=abs(there - back) < _NEARLY, promise=f"distance is symmetric: {there} and {back}")
        _demand(kept=0.0 <= there <= 1.0, promise=f"distance lies in [0, 1]: {there}")
        _demand(kept=(there > 0) == (a != b), promise=f"only equal answers have no distance: {a.key} {b.key}")
    for regions in _GARBAGE:
        try:
            read = codec.decode(regions)
        except CodecError:
            continue
        except Exception as error:
            raise CodecError(f"broken promise: garbage is refused with CodecError, not {error!r}: {regions}") from error
        raise CodecError(f"broken promise: garbage is refused, not read as {read.key}: {regions}")


def _check_words(codec: Codec, answer: Answer, control: Control) -> None:
    plain, scored = codec.encode(answer, control, None), codec.encode(answer, control, 0.75)
    _demand(kept=codec.decode(plain) == answer, promise=f"decode reads what encode wrote: {answer.key}")
    _demand(kept=codec.decode(scored) == answer, promise=f"a score changes nothing: {answer.key}")
    _demand(kept=all(one.get("score") == 0.75 for one in scored), promise="every region carries the score")
    _demand(kept=all("score" not in one for one in plain), promise="no score is written where there is none")
    _demand(kept=all(one.get("from_name") == control.name for one in plain), promise="regions name their control")
    _demand(kept=all(one.get("to_name") for one in plain), promise="regions name their object")
    _demand(kept=all(one.get("type") == answer.kind for one in plain), promise="a region's type is the answer's kind")
    _demand(kept=Answer.from_key(answer.key) == answer, promise=f"the key holds the whole answer: {answer.key}")
    _demand(kept=codec.distance(answer, answer) == 0.0, promise="an answer has no distance to itself")


def _demand(*, kept: bool, promise: str) -> None:
    if not kept:
        raise CodecError(f"broken promise: {promise}.")
