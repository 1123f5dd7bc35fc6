"""How people do: how much each has answered, and how often they are right as far as others can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from feedback.annotators.reliability import Reliability, against_others
from feedback.consensus import hierarchical
from feedback.errors import VotesError
from feedback.store import CrowdVote, Person
from feedback.votes import LABELS, name_columns
from ml_backend.records import Answer

_MOST = 40_000  # votes that are compared; the newest tasks first. More would say the same, later


def drawn_votes(votes: Iterable[CrowdVote], doubled: Callable[[Sequence[str]], Sequence[bool]]) -> list[CrowdVote]:
    """Keep the votes on tasks that were drawn for several people, by the names of their contents.

    Tasks that several answered because they are hard would slander the people.
    """
    listed = list(votes)
    names = sorted({vote.content for vote in listed})
    drawn = {name for name, kept in zip(names, doubled(names), strict=True) if kept}
    return [vote for vote in listed if vote.content in drawn]


def people_figures(people: Iterable[Person], votes: Sequence[CrowdVote], *, bots: Iterable[int] = ()) -> dict[str, Any]:
    """Everybody's figures as plain JSON, those first who surely need help; `votes` are on tasks drawn for several.

    `accuracy` is None for somebody whom nobody can be compared with. `note` says why there is no comparison at all.
    """
    records, note = _records(votes[-_MOST:])
    not_people = set(bots)
    rows = [_row(one, records.get(one.id)) for one in people if one.id not in not_people]
    rows.sort(key=lambda row: (row["accuracy"]["high"] if row["accuracy"] else 2.0, row["person"]))
    return {"people": rows, "tasks_compared": len({vote.task for vote in votes}), "note": note}


def _records(votes: Sequence[CrowdVote]) -> tuple[dict[int, dict[str, Any]], str]:
    if not votes:
        return {}, "No task that was drawn for several people has two answers yet, so nobody can be compared."
    kinds = {Answer.from_key(key).kind for key in {vote.answer for vote in votes}}
    if not kinds <= set(LABELS):
        return {}, f"Answers of type {', '.join(sorted(kinds))} are compared by `hitl agree PROJECT`, not on this page."
    named = name_columns(
        [vote.task for vote in votes], [vote.person for vote in votes], [vote.answer for vote in votes]
    )
    try:
        records = against_others(named.votes, fit=hierarchical(named.votes))
    except VotesError as error:
        return {}, str(error)
    words = [answer_text(str(label)) for label in named.labels]
    return {int(str(named.people[one.person])): _plain(one, words) for one in records}, ""


def _plain(one: Reliability, words: Sequence[str]) -> dict[str, Any]:
    slip = one.biggest_slip
    accuracy = None
    if one.compared and not math.isnan(one.accuracy.value):
        accuracy = {name: round(getattr(one.accuracy, name), 4) for name in ("value", "low", "high")}
    return {
        "accuracy": accuracy,
        "compared": one.compared,
        "weakest": None if slip is None else {"label": words[slip], "value": round(one.by_label[slip].value, 4)},
    }


def _row(one: Person, record: Mapping[str, Any] | None) -> dict[str, Any]:
    figures = record or {"accuracy": None, "compared": 0, "weakest": None}
    return {
        "person": one.id,
        "answers": one.answers,
        "skips": one.skips,
        "first_at": one.first_at,
        "last_at": one.last_at,
        **figures,
    }


def answer_text(key: str) -> str:
    """An answer in words, from its key.

    >>> answer_text('["choices",["spam","urgent"]]'), answer_text('["rating",4]')
    ('spam, urgent', '4')
    """
    value = Answer.from_key(key).value
    return ", ".join(map(_word, value)) if isinstance(value, tuple) else str(value)


def _word(part: object) -> str:
    return " > ".join(map(_word, part)) if isinstance(part, tuple) else str(part)
