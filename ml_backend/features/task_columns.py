"""Columns of a model beside a text or image, or of a table: fields of a task's data, and reviewers' indicators."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.column_schema import MAX_OPTIONS, find_kind, read_number, read_options
from ml_backend.records import INDICATORS_KEY, Indicators

Tasks: TypeAlias = Sequence[Mapping[str, Any]]
Values: TypeAlias = Mapping[str, Any]  # of one task, by column

FIELDS = " (fields "  # in the name of a recipe, before the hash of a rule
_FIELD = "$"  # before the name of a field, as in label configs; the name of an indicator has none
_MAX_DEVIATIONS = 3.0  # numbers are cut at this many standard deviations
_MAX_DEPTH = 4  # of nested data
_MAX_FIELDS = 1_000  # of one task
_CHANCE = 0.01  # p-value from which on a field is taken to say nothing about the labels
_ROWS_PER_STEP, _MAX_STEPS = 20, 8


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Which fields of a task's data a model reads beside the one that its control is about.

    A name stands for a field wherever it is, also inside a table, and for all below it.
    """

    only: tuple[str, ...] | None = None  # exactly these; None: all that the training rows show to be of use
    without: tuple[str, ...] = ()  # never read
    texts: tuple[tuple[str, bool], ...] = ()  # further texts that people see, which join the text; whether it is HTML

    @property
    def suffix(self) -> str:
        """Return what the rule adds to the name of a recipe: a policy that names other fields is another recipe."""
        if self.only is None and not self.without:
            return ""
        text = json.dumps([None if self.only is None else sorted(self.only), sorted(self.without)])
        return f"{FIELDS}{hashlib.sha256(text.encode()).hexdigest()[:8]})"

    def allows(self, path: str) -> bool:
        """Return whether a model may read a field.

        >>> rule = FieldRule(without=("gender",))
        >>> [rule.allows(path) for path in ("amount", "gender", "customer.gender", "gender.note", "genders")]
        [True, False, False, False, True]
        """
        return not _is_named(path, self.without) and (self.only is None or self.names(path))

    def names(self, path: str) -> bool:
        """Return whether the policy asks for a field by its name."""
        return _is_named(path, self.only or ())


def _is_named(path: str, names: Sequence[str]) -> bool:
    return any(f".{name}." in f".{path}." for name in names)


class NumberColumn(NamedTuple):
    """A number: whether it is known, its distance from the mean, and whether it is above each step."""

    name: str
    mean: float
    spread: float  # standard deviation
    steps: tuple[float, ...] = ()  # ascending
    comma: bool = False  # whether texts such as "1.250,00" are numbers, not "1,250.00"


class OptionsColumn(NamedTuple):
    """A category or a short list: whether it is known, and which of the options it is or has."""

    name: str
    options: tuple[str, ...]
    several: bool = False  # whether a task may have several of them at once


@dataclass(frozen=True, slots=True)
class TaskColumns:
    """The columns that a model has for fields and indicators, as its training rows had them.

    Each of them has one column that says whether it has a value. A number has one more: its distance from the mean
    in standard deviations, cut at 3 and divided by 3; and from 40 rows one for each step (up to eight quantiles) that
    says whether it is above, so that a rule such as "at most 100" is learned. A text has one more for each option of
    the training rows. The columns of f fields are divided by the root of f: many fields weigh no more than a text.
    """

    numbers: tuple[NumberColumn, ...] = ()
    options: tuple[OptionsColumn, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False)  # field -> why it is no column

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each column means, such as "fraud = card"."""
        found: list[str] = []
        for number in self.numbers:
            name = number.name.removeprefix(_FIELD)
            found += [f"{name} is known", *[name] * (1 + len(number.steps))]
        for name, options, _ in self.options:
            name = name.removeprefix(_FIELD)
            found += [f"{name} is known", *(f"{name} = {text}" for text in options)]
        return tuple(found)

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields of the task's data that are read, without indicators."""
        return tuple(sorted(name.removeprefix(_FIELD) for name in self._paths))

    def matrix(self, data: Tasks) -> NDArray[np.float32]:
        """Return the columns of each task, shape (n, b), in [-1, 1]; an unseen option sets only the first column."""
        rows = self._read(data)
        table, column = np.zeros((len(rows), len(self.names)), np.float32), 0
        scale = max(1, len(self.fields)) ** -0.5  # rows of length about 1 suit the regularisation
        for number in self.numbers:
            width = 2 + len(number.steps)
            values = _numbers(number, rows)
            at = np.flatnonzero(~np.isnan(values))
            if len(at):
                part = table[:, column : column + width]
                part[at, 0] = 1.0
                deviations = (values[at] - number.mean) / number.spread
                part[at, 1] = np.clip(deviations, -_MAX_DEVIATIONS, _MAX_DEVIATIONS) / _MAX_DEVIATIONS
                part[at, 2:] = 0.5 * (values[at, None] > np.array(number.steps))
                part *= scale if number.name.startswith(_FIELD) else 1.0
            column += width
        for name, options, _ in self.options:
            place, known = {text: at for at, text in enumerate(options, start=1)}, scale if name[:1] == _FIELD else 1.0
            for row, item in zip(table, rows, strict=True):
                if texts := read_options(item.get(name), is_field=name.startswith(_FIELD)):
                    row[[column, *(column + place[text] for text in texts if text in place)]] = known
            column += 1 + len(options)
        return table

    def table(self, data: Tasks) -> NDArray[np.float64]:
        """Return raw values, shape (n, f): numbers, and codes of options; NaN where unknown. Lists: a column an option.

        For trees, which need neither scales nor steps. `is_category` says which columns are codes.
        """
        rows = self._read(data)
        found = [_numbers(number, rows) for number in self.numbers]
        for name, options, several in self.options:
            place = {text: float(at) for at, text in enumerate(options)}
            texts = [read_options(item.get(name), is_field=name.startswith(_FIELD)) for item in rows]
            if several:
                found += [np.array([option in row if row else np.nan for row in texts], float) for option in options]
            else:
                found.append(np.array([place.get(row[0], np.nan) if row else np.nan for row in texts], float))
        return np.stack(found, axis=1) if found else np.zeros((len(rows), 0))

    @property
    def is_category(self) -> list[bool]:
        """Return for each column of `table` whether its values are codes of options."""
        several = [[False] * len(column.options) if column.several else [True] for column in self.options]
        return [*[False] * len(self.numbers), *chain.from_iterable(several)]

    def table_names(self, item: Mapping[str, Any]) -> list[str]:
        """Return what each column of `table` means for a task, such as "amount" and "standing = good"."""
        found, codes = [name.removeprefix(_FIELD) for name, *_ in self.numbers], iter(self.table([item])[0])
        for _ in found:
            next(codes)
        for name, options, several in self.options:
            shown = name.removeprefix(_FIELD)
            for option in options if several else ("",):
                code = next(codes)
                known = option or ("" if np.isnan(code) else options[int(code)])
                found.append(f"{shown} = {known}" if known else f"{shown} is known")
        return found

    def contributions(self, item: Mapping[str, Any], weights: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        """Yield (name, value * weight) of each column that is not zero; `weights` has shape (b,)."""
        for name, value, weight in zip(self.names, self.matrix([item])[0], weights, strict=True):
            if value:
                yield name, float(value * weight)

    def state(self) -> list[list[Any]]:
        """Return JSON values, for an artefact."""
        return [[list(column) for column in kind] for kind in (self.numbers, self.options)]

    @staticmethod
    def load(state: Any) -> TaskColumns:
        """Build the columns of a `state()`; TypeError or ValueError where it is not one."""
        numbers, options = state
        return TaskColumns(
            tuple(
                NumberColumn(str(name), float(mean), float(spread), tuple(map(float, steps)), bool(comma))
                for name, mean, spread, steps, comma in numbers
            ),
            tuple(OptionsColumn(str(name), tuple(map(str, texts)), bool(several)) for name, texts, several in options),
        )

    def card(self, *texts: str) -> dict[str, Any]:
        """Return for a model's card which fields are read, with those of further `texts`, and why others are not."""
        return {"fields": sorted({*self.fields, *texts}), "fields_left_out": dict(self.left_out)}

    def _read(self, data: Tasks) -> list[Values]:
        wanted = self._paths
        return [_values_of(item, wanted) for item in data]

    @property
    def _paths(self) -> set[str]:
        names = [*(column.name for column in self.numbers), *(column.name for column in self.options)]
        return {name for name in names if name.startswith(_FIELD)}


def fit_columns(
    data: Tasks, rule: FieldRule | None = None, *, main: Sequence[str] = (), labels: Sequence[str] | None = None
) -> TaskColumns:
    """Return the columns for these training rows; the order of the rows does not matter.

    `main` are the fields of the text or image, which are no columns. Indicators always are. With `labels`, (n,), a
    field is left out that says nothing about them, unless the policy names it: many such columns cost a text model up
    to a point of accuracy at 200 rows.

    >>> from ml_backend.records import with_indicators
    >>> rows = [with_indicators({}, {"risk": 1.0, "fraud": "card"}), with_indicators({}, {"risk": 3.0}), {}]
    >>> columns = fit_columns(rows)
    >>> columns.names
    ('risk is known', 'risk', 'fraud is known', 'fraud = card')
    >>> columns.matrix(rows).round(2).tolist()
    [[1.0, -0.33000001311302185, 1.0, 1.0], [1.0, 0.33000001311302185, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    >>> fit_columns([{"amount": 250.0 * (at % 7), "order_id": at} for at in range(40)]).card()
    {'fields': ['amount'], 'fields_left_out': {'order_id': 'an identifier, by its name'}}
    """
    rule = rule or FieldRule()
    indicators, fields = dict[str, list[Any]](), dict[str, list[Any]]()
    for item in data:
        for name, value in _indicators_of(item).items():
            indicators.setdefault(name, []).append(value)
        for path, value in list_fields(item):
            if value is not None and value != "":
                fields.setdefault(path, []).append(value)
    numbers = [_number(name, found) for name, values in indicators.items() if (found := _known_numbers(values))]
    options = [
        OptionsColumn(name, _frequent(texts, least=1))
        for name, values in indicators.items()
        if (texts := [text for value in values for text in read_options(value, is_field=False)])
    ]
    left_out: dict[str, str] = {}
    for path, values in fields.items():
        if not any(f"{path}.".startswith(f"{name}.") for name in main):
            if not rule.allows(path):
                left_out[path] = "the policy leaves it out"
                continue
            kind = find_kind(path, values, n_rows=len(data), is_wanted=rule.names(path))
            if kind.is_number:
                numbers.append(_number(_FIELD + path, _known_numbers(values, comma=kind.comma), comma=kind.comma))
            elif kind.why_not:
                left_out[path] = kind.why_not
            else:
                texts = [text for value in values for text in read_options(value, is_field=True)]
                options.append(OptionsColumn(_FIELD + path, _frequent(texts, least=2), kind.several))
    made = TaskColumns(tuple(sorted(numbers)), tuple(sorted(options)), dict(sorted(left_out.items())))
    return made if labels is None or not made.fields else _without_unrelated(made, data, rule, labels)


def _without_unrelated(columns: TaskColumns, data: Tasks, rule: FieldRule, labels: Sequence[str]) -> TaskColumns:
    """Return the columns without fields whose mean differs between labels no more than by chance.

    One-way analysis of variance of each column; a field with b columns has b times its least p-value (Bonferroni).
    """
    # reason: a second of imports that serving never needs
    from sklearn.feature_selection import f_classif

    table = columns.matrix(data)
    varied = np.flatnonzero(np.ptp(table, axis=0))
    p_values = np.ones(table.shape[1])
    if len(set(labels)) > 1 and len(varied):
        with np.errstate(all="ignore"):  # a column that is constant within each label
            p_values[varied] = f_classif(table[:, varied], np.asarray(labels, dtype=str))[1]
    unrelated, start = set[str](), 0
    widths = [*(2 + len(each.steps) for each in columns.numbers), *(1 + len(each.options) for each in columns.options)]
    names = [*(each.name for each in columns.numbers), *(each.name for each in columns.options)]
    for name, width in zip(names, widths, strict=True):
        is_chance = np.min(p_values[start : start + width]) * width > _CHANCE
        if name.startswith(_FIELD) and is_chance and not rule.names(name.removeprefix(_FIELD)):
            unrelated.add(name)
        start += width
    why = {name.removeprefix(_FIELD): "it says nothing about the labels of these rows" for name in unrelated}
    return TaskColumns(
        tuple(each for each in columns.numbers if each.name not in unrelated),
        tuple(each for each in columns.options if each.name not in unrelated),
        dict(sorted({**columns.left_out, **why}.items())),
    )


def list_fields(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield path and value of the fields of a task's data; a list of objects with key and value is a table.

    >>> list(list_fields({"order": {"amount": 12}, "facts": [{"key": "age", "value": 3}], "tags": ["a"]}))
    [('order.amount', 12), ('facts.age', 3), ('tags', ['a'])]
    """
    return islice(_walk(item, "", _MAX_DEPTH), _MAX_FIELDS)


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(each, dict) and "key" in each for each in value):
        value = {str(each["key"]): each.get("value") for each in value}
    # plain values first: the check of an abstract class is slow
    if isinstance(value, (str, int, float)) or not isinstance(value, (dict, Mapping)):
        yield path, value
    elif depth:
        for name, inner in value.items():
            if name != INDICATORS_KEY:
                yield from _walk(inner, f"{path}.{name}" if path else str(name), depth - 1)


def _values_of(item: Mapping[str, Any], wanted: set[str]) -> Values:
    indicators = _indicators_of(item)
    if not wanted or not isinstance(item, (dict, Mapping)):
        return indicators
    return {**indicators, **{name: value for path, value in list_fields(item) if (name := _FIELD + path) in wanted}}


def _indicators_of(item: Mapping[str, Any]) -> Indicators:
    # dict first, and None before it: the check of an abstract class is slow, and most tasks have no indicators
    found = item.get(INDICATORS_KEY) if isinstance(item, (dict, Mapping)) else None
    return found if found is not None and isinstance(found, (dict, Mapping)) else {}


def _numbers(column: NumberColumn, rows: Sequence[Values]) -> NDArray[np.float64]:
    """Return the number of each row, (n,); NaN where it is unknown. An indicator is never a number in a text."""
    read = (read_number(row.get(column.name), is_field=column.name[:1] == _FIELD, comma=column.comma) for row in rows)
    return np.array([np.nan if value is None else value for value in read], float)


def _known_numbers(values: Sequence[Any], *, comma: bool | None = None) -> list[float]:
    """Return the numbers among the values; those in texts only where it is known how they are written."""
    read = (read_number(value, is_field=comma is not None, comma=bool(comma)) for value in values)
    return [value for value in read if value is not None]


def _number(name: str, values: Sequence[float], *, comma: bool = False) -> NumberColumn:
    ordered = np.sort(np.asarray(values))  # sums depend on the order
    n_steps = min(_MAX_STEPS, len(ordered) // _ROWS_PER_STEP)
    places = np.arange(1, n_steps + 1) * len(ordered) // (n_steps + 1)
    steps = tuple(float(step) for step in np.unique(ordered[places]) if step < ordered[-1]) if n_steps > 1 else ()
    return NumberColumn(name, float(ordered.mean()), float(ordered.std()) or 1.0, steps, comma)


def _frequent(texts: Sequence[str], *, least: int) -> tuple[str, ...]:
    counts = Counter(texts)
    known = [option for option in counts if counts[option] >= least]
    return tuple(sorted(sorted(known, key=lambda option: (-counts[option], option))[:MAX_OPTIONS]))
