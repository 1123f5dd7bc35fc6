"""The score of each consensus method against gold answers: labels by accuracy and calibration, the rest by distance."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from feedback.consensus import Consensus
from feedback.consensus.gold_calibration import consensus_log_odds, fit_confidence_model
from feedback.errors import VotesError
from feedback.stats.intervals import json_number
from feedback.votes import EncodedVotes, Floats, Ints, Votes
from ml_backend.calibration import expected_calibration_error
from ml_backend.number_format import format_counted

_N_DRAWS = 20  # of gold for calibration, because one draw of 50 is off by several points
Gold = TypeVar("Gold")  # one gold answer


@dataclass(frozen=True, slots=True)
class ConsensusScore:
    """The score of one consensus method against gold; figures are None without gold."""

    method: str
    accuracy: float | None = None
    ece: float | None = None  # expected calibration error of its confidence
    error: float | None = None  # mean distance from gold, for numbers and regions
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON; `error` and `reason` only where there is one."""
        body = {"method": self.method, "accuracy": json_number(self.accuracy), "ece": json_number(self.ece)}
        error = {} if self.error is None else {"error": json_number(self.error)}
        return {**body, **error, **({"reason": self.reason} if self.reason else {})}


class LabelScorer:
    """Scores consensus methods for labels on the same gold and the same draws of it.

    `known` (n_tasks,) are gold label codes, -1 where unknown. `calibrate` gold answers calibrate the confidence, the
    others score it; scores are the mean of 20 draws. VotesError where no gold is left to score.
    """

    def __init__(self, votes: Votes, known: Ints | None, calibrate: int) -> None:
        self._votes, self._known, self._calibrate = votes, known, calibrate
        if known is None:
            if calibrate:
                raise VotesError("calibration needs gold answers.", hint="Give --gold, or leave --calibrate-gold out.")
            return
        self._gold = np.flatnonzero(known >= 0)
        if calibrate and len(self._gold) <= calibrate:
            raise VotesError(
                f"{len(self._gold)} gold answers belong to tasks with votes; {calibrate} for calibration leave none.",
                hint="Use a smaller --calibrate-gold.",
            )
        self._draws = [np.random.default_rng([0, draw]).permutation(self._gold) for draw in range(_N_DRAWS)]

    def score(self, fit: Consensus, *, choose: Callable[[Ints], Consensus] | None = None) -> ConsensusScore:
        """Return accuracy and calibration error; `choose` may select another consensus by the drawn gold answers."""
        if self._known is None:
            return ConsensusScore(fit.method)
        if not self._calibrate:
            right = fit.labels[self._gold] == self._known[self._gold]
            sure = fit.proba[self._gold, fit.labels[self._gold]]
            return ConsensusScore(fit.method, float(right.mean()), expected_calibration_error(sure, right))
        odds: dict[str, Floats] = {}
        results = []
        for order in self._draws:
            drawn, rest = order[: self._calibrate], order[self._calibrate :]
            given = np.full_like(self._known, -1)
            given[drawn] = self._known[drawn]
            used = choose(given) if choose else fit
            if used.method not in odds:
                odds[used.method] = consensus_log_odds(used, self._votes)
            right = used.labels == self._known
            trust = fit_confidence_model(odds[used.method][drawn], right[drawn])
            sure = np.maximum(trust.confidence(odds[used.method][rest]), 1.0 / used.proba.shape[1])
            results.append((float(right[rest].mean()), expected_calibration_error(sure, right[rest])))
        accuracy, ece = np.mean(results, axis=0)
        return ConsensusScore(fit.method, float(accuracy), float(ece))


def gold_by_code(tasks: Sequence[Hashable], gold: Mapping[Hashable, Gold]) -> dict[int, Gold]:
    """Return the gold answers by code of the task; VotesError if no gold answer is for a task with votes."""
    known = {code: gold[task] for code, task in enumerate(tasks) if task in gold}
    if not known:
        raise VotesError("no gold answer belongs to a task with votes.", hint="Both files must use the same task ids.")
    return known


def encode_gold(named: EncodedVotes, gold: Mapping[Hashable, Hashable]) -> tuple[Ints, list[str]]:
    """Return gold label codes, shape (n_tasks,), -1 where unknown, and notes on unusable gold answers.

    A gold label that nobody gave gets a code of its own.
    """
    label = {name: code for code, name in enumerate(named.labels)}
    found = {task: label.get(answer, len(label)) for task, answer in gold_by_code(named.tasks, gold).items()}
    known = np.full(len(named.tasks), -1)
    known[list(found)] = list(found.values())
    notes = []
    if unused := len(gold) - len(found):
        notes.append(
            format_counted(unused, "gold answer is for a task", "gold answers are for tasks") + " without votes"
        )
    if unseen := int((known == len(label)).sum()):
        notes.append(format_counted(unseen, "gold answer is a label", "gold answers are labels") + " that nobody gave")
    return known, notes


def score_by_distance(method: str, errors: Sequence[float], exact: Sequence[bool]) -> ConsensusScore:
    """Return the score from the distance to each gold answer, and from whether the consensus is the gold answer."""
    return ConsensusScore(method, float(np.mean(exact)), None, float(np.mean(errors)))
