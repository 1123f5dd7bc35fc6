"""hitl.toml, checked: every key known, every number in range, every error naming the nearest valid key."""

from __future__ import annotations

import hashlib
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feedback.errors import PolicyError

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(_Section):
    """Which model learns; without anything, the default for the project's label config."""

    hosted: str = ""  # "file.py:Class", a label-studio-ml 1.0.9 model
    control: str = ""  # which control; "": the first that we can predict


class Sampling(_Section):
    """Which task is asked next."""

    strategy: str = "margin"
    random_share: Share = 0.1  # of the places in the queue that the strategy fills

    @property
    def looks_at_distances(self) -> bool:
        """Whether the strategy needs vectors beside probabilities."""
        return self.strategy in ("ranked", "mkm", "typical")


class Queue(_Section):
    """The window that is written to Label Studio."""

    window: Annotated[int, Field(ge=1, le=100_000)] = 500
    head: Annotated[int, Field(ge=1, le=250)] = 25  # written singly, so that they are served at once
    low_water: Share = 0.4  # below this share of open rows the window is written anew


class Audit(_Section):
    """The random stream that proves things; its rows are never learned from."""

    share: Annotated[float, Field(ge=0.0, le=0.5)] | None = None  # None: chosen at connect from the number of tasks
    quota: Share = 0.2  # of the queue, once `start` rows exist
    start: Annotated[int, Field(ge=0)] = 100  # until so many are answered, half of the queue feeds the audit


class Overlap(_Section):
    """How many people answer one task."""

    share: Share = 0.1  # of the tasks, drawn at random, for an unbiased agreement
    votes: Annotated[int, Field(ge=1, le=20)] = 2  # on those
    max_votes: Annotated[int, Field(ge=1, le=20)] = 3  # asked for at most when people differ


class Train(_Section):
    """When a challenger is trained."""

    min_rows: Annotated[int, Field(ge=2)] = 20
    min_new: Annotated[int, Field(ge=1)] = 20  # new answers since the last training
    growth: Annotated[float, Field(ge=0.0)] = 0.15  # ... or this share of what it was trained on, if more
    seed: Annotated[int, Field(ge=0)] = 0


class Promote(_Section):
    """When a challenger becomes the champion (docs/statistics.md)."""

    max_loss: Share = 0.02  # a refresh is refused when it is proven worse than this
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05


class Policy(_Section):
    """One project's policy. `hash` stands in each decision that it led to."""

    version: Literal[1] = 1
    model: Model = Model()
    sampling: Sampling = Sampling()
    queue: Queue = Queue()
    audit: Audit = Audit()
    overlap: Overlap = Overlap()
    train: Train = Train()
    promote: Promote = Promote()

    @property
    def hash(self) -> str:
        """Twelve hex digits; equal policies have equal hashes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def read_policy(text: str, *, source: str = "hitl.toml") -> Policy:
    """Check the text of a policy file.

    Raises PolicyError naming the file, the key, what was wanted and the nearest valid key.

    >>> read_policy("[audit]\\nshare = 0.2").audit.share
    0.2
    >>> read_policy("[audit]\\nshaer = 0.2")
    Traceback (most recent call last):
    feedback.errors.PolicyError: hitl.toml: audit.shaer is not a key; did you mean audit.share?
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{source} is not TOML: {error}") from None
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        raise PolicyError(f"{source}: " + "; ".join(_sentence(item) for item in error.errors())) from None


def read_policy_file(path: Path) -> Policy:
    """Check a policy file on disk."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from None
    return read_policy(text, source=path.name)


def _sentence(item: Any) -> str:
    where = [str(part) for part in item["loc"]]
    dotted = ".".join(where)
    if item["type"] == "extra_forbidden":
        near = get_close_matches(where[-1], _keys(where[:-1]), n=1)
        guess = f"; did you mean {'.'.join([*where[:-1], near[0]])}?" if near else ""
        return f"{dotted} is not a key{guess}"
    return f"{dotted} is {item['input']!r}; {item['msg'][0].lower()}{item['msg'][1:]}"


def _keys(path: list[str]) -> list[str]:
    section: Any = Policy
    for name in path:
        section = getattr(section.model_fields.get(name), "annotation", None)
        if section is None or not hasattr(section, "model_fields"):
            return []
    return list(section.model_fields)
