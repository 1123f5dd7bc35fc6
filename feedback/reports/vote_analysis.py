"""Analysis of votes on labels: agreement, consensus by each method, and the accuracy of each person."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from feedback import agreement, consensus
from feedback.agreement import (
    brennan_prediger,
    cohen_kappa,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    intraclass_correlation,
    krippendorff_alpha,
    percent_agreement,
)
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.interpretation import interpret_agreement
from feedback.agreement.vote_patterns import count_patterns
from feedback.annotators.accuracy import Reliability, compare_people
from feedback.consensus import Consensus, select_method
from feedback.consensus.gold_calibration import consensus_log_odds, fit_confidence_model
from feedback.consensus.method_selection import METHODS, fit_or_none, prefer_proven_on_gold
from feedback.errors import VotesError
from feedback.reports.agreement_report import agreement_by_label, agreement_by_pair
from feedback.stats.intervals import Interval, json_number
from feedback.votes import EncodedVotes, Floats, Ints, Votes
from ml_backend.calibration import expected_calibration_error

_N_DRAWS = 20  # of gold for calibration, because one draw of 50 is off by several points
_MAX_RATING_CELLS = 20_000_000  # items times people


@dataclass(frozen=True, slots=True)
class ConsensusScore:
    """The score of one consensus method against gold; figures are None without gold."""

    method: str
    accuracy: float | None = None
    ece: float | None = None  # expected calibration error of its confidence
    error: float | None = None  # mean distance from gold, for numbers and regions
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result of `hitl agree`."""

    agreement: Mapping[str, Coefficient]
    verdict: str
    open_first: tuple[Hashable, ...]  # the tasks on which people differ most
    consensus: Mapping[str, ConsensusScore]
    annotators: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    pairs: tuple[Mapping[str, Any], ...] = ()  # agreement of every two people
    by_label: Mapping[str, Coefficient] = field(default_factory=dict)
    by_month: Mapping[str, Coefficient] = field(default_factory=dict)  # only of a project
    by_segment: Mapping[str, Coefficient] = field(default_factory=dict)  # only of a project, by a field of its tasks
    suggestions: tuple[Mapping[str, Any], ...] = ()  # label issues of a project, the most certain first

    def to_json(self) -> dict[str, Any]:
        """Return the analysis as JSON; undefined figures are null."""
        return {
            "agreement": _figures_json(self.agreement),
            "verdict": self.verdict,
            "open_first": list(self.open_first),
            "consensus": {name: _score_json(score) for name, score in self.consensus.items()},
            "annotators": list(self.annotators),
            "notes": list(self.notes),
            "pairs": list(self.pairs),
            "by_label": _figures_json(self.by_label),
            "by_month": _figures_json(self.by_month),
            "by_segment": _figures_json(self.by_segment),
            "suggestions": list(self.suggestions),
        }


def analyse(
    named: EncodedVotes,
    *,
    ordered: bool = False,
    gold: Mapping[Hashable, Hashable] | None = None,
    calibrate_gold: int = 0,
    drawn: bool = True,
    notes: Sequence[str] = (),
) -> Analysis:
    """Analyse votes on labels.

    Parameters
    ----------
    ordered
        The labels are ordered numbers (ratings).
    gold
        Gold label by task; each consensus method is scored on it.
    calibrate_gold
        Number of gold answers drawn to calibrate the confidence; the others score it. Scores are the mean of 20 draws.
    drawn
        The tasks were drawn at random, so that agreement may be interpreted.
    """
    votes = named.votes
    known, gold_notes = encode_gold(named, gold) if gold is not None else (None, [])
    choice = select_method(votes)
    fits = {
        name: fit
        for name, method in METHODS.items()
        if (fit := choice.fits.get(name) or fit_or_none(method, votes)) is not None
    }
    others = {name: fit_or_none(consensus.load_method(name), votes) for name in consensus.plugin_names()}
    fits |= {name: fit for name, fit in others.items() if fit is not None}
    figures = _ordered_figures(named) if ordered else _label_figures(votes)
    reading = interpret_agreement(votes, named.labels, coefficient=figures["alpha"], drawn=drawn)
    scorer = _Scorer(votes, known, calibrate_gold)
    best = scorer.score(choice.consensus, choose=lambda given: prefer_proven_on_gold(choice, given).consensus)
    return Analysis(
        figures,
        reading.text,
        tuple(named.tasks[task] for task in reading.open_first),
        {"auto": replace(best, reason=choice.reason), **{name: scorer.score(fit) for name, fit in fits.items()}},
        tuple(
            _person_json(named, record) for record in compare_people(votes, fit=fits.get("hierarchical"), gold=known)
        ),
        (*notes, *gold_notes),
        pairs=agreement_by_pair(named),
        by_label=agreement_by_label(named),
    )


def encode_gold(named: EncodedVotes, gold: Mapping[Hashable, Hashable]) -> tuple[Ints, list[str]]:
    """Return gold label codes, shape (n_tasks,), -1 where unknown, and notes on unusable gold answers.

    A gold label that nobody gave gets a code of its own. Raises VotesError if no gold answer is for a task with votes.
    """
    label = {name: code for code, name in enumerate(named.labels)}
    known = np.full(len(named.tasks), -1)
    unseen = 0
    for code, task in enumerate(named.tasks):
        if task in gold:
            answer = label.get(gold[task], len(label))  # a code that no vote has
            unseen += answer == len(label)
            known[code] = answer
    found = int((known >= 0).sum())
    if not found:
        raise VotesError("no gold answer belongs to a task with votes.", hint="Both files must use the same task ids.")
    notes = []
    if found < len(gold):
        notes.append(f"{len(gold) - found} gold answers are for tasks without votes")
    if unseen:
        notes.append(f"{unseen} gold answers are labels that nobody gave")
    return known, notes


class _Scorer:
    """Scores consensus methods on the same gold and the same draws of it."""

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


def _label_figures(votes: Votes) -> dict[str, Coefficient]:
    table = count_patterns(votes)
    return {
        "percent": percent_agreement(table),
        "alpha": krippendorff_alpha(table),
        "ac1": gwet_ac1(table),
        "fleiss": fleiss_kappa(table),
        "cohen": cohen_kappa(votes),
        "conger": conger_kappa(votes),
        "brennan_prediger": brennan_prediger(table),
        **{name: agreement.load_measure(name)(votes) for name in agreement.plugin_names()},
    }


def _ordered_figures(named: EncodedVotes) -> dict[str, Coefficient]:
    votes, values = named.votes, np.array([float(str(label)) for label in named.labels])
    table = count_patterns(votes)
    figures = {
        "percent": percent_agreement(table),
        "alpha": krippendorff_alpha(table, level="ordinal", values=values),
        "alpha_interval": krippendorff_alpha(table, level="interval", values=values),
        "ac2": gwet_ac1(table, weighting="quadratic", values=values),
        "cohen": cohen_kappa(votes, weighting="quadratic", values=values),
    }
    if (ratings := ratings_table(votes, values)) is not None:
        figures["icc"] = intraclass_correlation(ratings)
    return figures


def ratings_table(votes: Votes, values: Floats) -> Floats | None:
    """Return the numbers, shape (n_items, n_people), NaN where missing; None for one person or too many cells."""
    people, column = np.unique(votes.people, return_inverse=True)
    if len(people) < 2 or votes.n_tasks * len(people) > _MAX_RATING_CELLS:
        return None
    table = np.full((votes.n_tasks, len(people)), np.nan)
    table[votes.tasks, column] = values[votes.labels]
    return table


def interval_json(interval: Interval, measure: str) -> dict[str, Any]:
    """Return an interval as JSON, its value under the name of the measure."""
    body = interval.to_json()
    return {measure: body.pop("value"), **body}


def _figures_json(figures: Mapping[str, Coefficient]) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}


def _person_json(named: EncodedVotes, record: Reliability) -> dict[str, Any]:
    return {
        "worker": named.people[record.person],
        "votes": record.votes,
        "compared": record.compared,
        "against": record.against,
        **interval_json(record.accuracy, "accuracy"),
        "labels": {
            str(label): interval_json(own, "accuracy")
            for label, own in zip(named.labels, record.by_label, strict=True)
            if not math.isnan(own.value)
        },
    }


def _score_json(score: ConsensusScore) -> dict[str, Any]:
    body: dict[str, Any] = {
        "method": score.method,
        "accuracy": json_number(score.accuracy),
        "ece": json_number(score.ece),
    }
    if score.error is not None:
        body["error"] = json_number(score.error)
    return body | {"reason": score.reason} if score.reason else body
