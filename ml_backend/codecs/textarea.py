"""The codec of TextArea: one or several texts that people write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.clean_text import clean_text
from ml_backend.codecs.regions import make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

_MAX_COMPARED = 20_000  # characters between the common start and end of two texts; longer ones count as all different
_MIN_DISTANCE = 1e-6  # of answers that differ only in how their lines are divided


class TextArea:
    """An answer is a tuple of texts; the distance is their edit distance divided by the length of the longer one.

    The edit distance of Levenshtein (1966): characters inserted, deleted and replaced. Several texts are compared as
    lines of one text.

    >>> round(TextArea().distance(Answer("textarea", ("kitten",)), Answer("textarea", ("sitting",))), 3)
    0.429
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        found: list[str] = []
        for region in regions:
            texts = region_value(region).get("text")
            texts = [texts] if isinstance(texts, str) else texts
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise CodecError("text is not a list of texts")
            found += filter(None, map(clean_text, texts))
        if not found:
            raise CodecError("there is no text")
        return Answer("textarea", tuple(found))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [make_region(control, "textarea", {"text": list(_texts(answer))}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        return 0.0 if a == b else max(text_distance("\n".join(_texts(a)), "\n".join(_texts(b))), _MIN_DISTANCE)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return ", ".join(_texts(answer))


def _texts(answer: Answer) -> tuple[str, ...]:
    return cast("tuple[str, ...]", answer.value)


def text_distance(a: str, b: str) -> float:
    """Return the edit distance of two texts divided by the length of the longer one, in [0, 1].

    The bit-parallel algorithm of Myers (1999), doi:10.1145/316542.316550, in the form of Hyyrö (2003). Of texts that
    differ over more than 20,000 characters it is an upper bound.

    >>> text_distance("flaw", "lawn"), text_distance("", "")
    (0.5, 0.0)
    """
    longest = max(len(a), len(b))
    start = next((at for at, (left, right) in enumerate(zip(a, b, strict=False)) if left != right), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    tail = zip(reversed(a), reversed(b), strict=False)
    end = next((at for at, (left, right) in enumerate(tail) if left != right), min(len(a), len(b)))
    a, b = sorted((a[: len(a) - end], b[: len(b) - end]), key=len)
    if not a or len(b) > _MAX_COMPARED:
        return len(b) / longest if longest else 0.0
    places: dict[str, int] = {}
    for at, letter in enumerate(a):
        places[letter] = places.get(letter, 0) | 1 << at
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    # bit i says that the cell below row i is one more (plus), or one less (minus), in the column of this letter
    plus, minus, distance = mask, 0, len(a)
    for letter in b:
        equal = places.get(letter, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        right_plus, right_minus = minus | ~(diagonal | plus) & mask, plus & diagonal
        distance += bool(right_plus & last) - bool(right_minus & last)
        right_plus, right_minus = (right_plus << 1 | 1) & mask, right_minus << 1 & mask
        plus, minus = right_minus | ~(diagonal | right_plus) & mask, right_plus & diagonal
    return distance / longest
