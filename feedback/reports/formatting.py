"""Times and texts as people read them, on the pages and in the terminal; `ml_backend.number_format` has the numbers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Hashable, Mapping

from feedback.review.review_task_content import format_answer, format_time
from ml_backend.records import Answer

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without letters and digits that look alike
_MAX_CHARS = 160  # of a text from people: titles, labels, notes
_PDF, _PDI = "\u202c", "\u2069"
_OPENS = dict.fromkeys("\u202a\u202b\u202d\u202e", _PDF) | dict.fromkeys("\u2066\u2067\u2068", _PDI)


def when(at_s: float) -> str:
    """Return a time, in epoch seconds, as UTC text.

    >>> when(0.0)
    '1970-01-01 00:00 UTC'
    """
    try:
        return format_time(at_s)
    except (OverflowError, ValueError, OSError):
        return "–"


def close_direction(text: str) -> str:
    """Return the text with every reading direction closed that it opens (Unicode Standard Annex 9).

    A text from people must not change the reading direction of the words after it.

    >>> close_direction("fine"), close_direction("\\u202etrust me"), close_direction("\\u2067\\u202a")
    ('fine', '\\u202etrust me\\u202c', '\\u2067\\u202a\\u202c\\u2069')
    """
    unclosed: list[str] = []
    for sign in text:
        if sign in _OPENS:
            unclosed.append(_OPENS[sign])
        elif sign == _PDI and sign in unclosed:  # an isolate also closes what was opened in it
            del unclosed[len(unclosed) - 1 - unclosed[::-1].index(sign) :]
        elif sign == _PDF and unclosed[-1:] == [sign]:  # and nothing inside it closes what was opened before
            unclosed.pop()
    return text + "".join(reversed(unclosed))


def short(text: object) -> str:
    """Return a text from people, cut where it would break the page.

    >>> len(short("x" * 1000)), short("spam")
    (160, 'spam')
    """
    full = str(text)
    return full if len(full) <= _MAX_CHARS else full[: _MAX_CHARS - 1] + "…"


def answer_text(key: str) -> str:
    """Return an answer as people read it, from its key.

    >>> answer_text('["choices",["spam","urgent"]]'), answer_text('["taxonomy",[["Fruit","Apple"]]]')
    ('spam, urgent', 'Fruit > Apple')
    """
    return format_answer(Answer.from_key(key))


def person_name(names: Mapping[int, str], person: int | None) -> str:
    """Return the name of a person by their user id, or words where there is none.

    >>> person_name({3: "Ann Lee"}, 3), person_name({}, 3), person_name({}, None)
    ('Ann Lee', 'person 3', 'somebody')
    """
    return "somebody" if person is None else close_direction(names.get(person, f"person {person}"))


def unnamed(person: int | None) -> str:
    """Return words for a person without a name.

    >>> unnamed(3)
    'person 3'
    """
    return person_name({}, person)


def pseudonym(secret: str, project: str, person: Hashable) -> str:
    """Return a short name for a person, the same on all pages and in all reports of a project, another in each project.

    Without the secret it cannot be traced back.

    >>> pseudonym("key", "7", 3), pseudonym("key", "8", 3)
    ('Person 6XX6C', 'Person APJ8E')
    """
    digest = hmac.new(secret.encode(), f"pseudonym {project} {person}".encode(), hashlib.sha256).digest()
    return "Person " + "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:5])
