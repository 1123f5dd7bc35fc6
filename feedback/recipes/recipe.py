"""A recipe: a folder with label_config.xml, hitl.toml, README.md, recipe.toml, and a data file or a generate.py."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from feedback.errors import PolicyError, RecipeError
from feedback.policy import Policy
from feedback.policy.field_types import Name, Section, Texts
from feedback.policy.hitl_toml import read_policy_file
from ml_backend.errors import LabelConfigError
from ml_backend.label_config import MAX_BYTES, read_label_config

FOLDER = Path(__file__).parent  # of the recipes that come with hitl
RECIPE_FILE, CONFIG_FILE, POLICY_FILE, PAGE_FILE = "recipe.toml", "label_config.xml", "hitl.toml", "README.md"
_MOST_CHARS = 100_000  # of recipe.toml and README.md
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][\w.-]{0,80}$")]  # in the folder itself


class Data(Section):
    """Where the tasks come from: a table with one row a task, of a file or made by a generator."""

    file: _FileName = ""  # a CSV or JSON file of the folder
    generate: _FileName = ""  # a Python file with `generate(folder, *, seed)`, which writes data.csv and its files
    label: str  # the column with the true label, which only the simulated people know
    fields: Annotated[dict[Name, str], Field(min_length=1)]  # task field -> column
    files: Texts = ()  # the task fields whose values are names of files beside the table
    tasks: Annotated[int, Field(ge=2)] | None = None  # at most so many rows, drawn at random


class Demo(Section):
    """How long the simulated people work."""

    answers: Annotated[int, Field(ge=1)] = 400
    seconds: Annotated[float, Field(ge=1)] = 150.0


class Promise(Section):
    """One figure of the end of `hitl demo`, and the range in which the recipe's page promises it."""

    least: float = Field(strict=False, default=float("-inf"))
    most: float = Field(strict=False, default=float("inf"))
    text: str  # as the page says it


class Description(Section):
    """recipe.toml."""

    title: Annotated[str, Field(min_length=1, max_length=38)]  # of the project: Label Studio allows 50 characters
    summary: Annotated[str, Field(min_length=1)]  # one sentence
    input: Literal["text", "image", "dialogue", "table", "pair"]
    control: str
    extras: Texts = ()  # of label-studio-hitl that it needs
    data: Data
    demo: Demo = Demo()
    promises: dict[Name, Promise] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that was read and checked; `folder` has its files."""

    name: str
    folder: Path
    description: Description
    label_config: str = field(repr=False)
    policy: Policy = field(repr=False)


def list_recipes() -> list[Recipe]:
    """Return the recipes that come with hitl, by name."""
    return [load_recipe(name) for name in _list_names()]


def load_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or the one in a folder of the user's.

    Raises RecipeError where there is none, or where one of its files is missing or wrong.
    """
    own = name in _list_names()
    folder = FOLDER / name if own else Path(name)
    if not folder.is_dir():
        near = get_close_matches(name, _list_names(), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        what = f"there is no recipe and no folder called {name!r}{meant}"
        raise RecipeError(what, hint=f"Recipes: {', '.join(_list_names())}.")
    label = name if own else folder.resolve().name
    description = _read_description(folder)
    config = _read_text(folder / CONFIG_FILE, MAX_BYTES)
    _read_text(folder / PAGE_FILE, _MOST_CHARS)
    try:
        read_label_config(config).control(description.control)
        policy = read_policy_file(folder / POLICY_FILE)
    except (LabelConfigError, PolicyError) as error:
        raise RecipeError(f"recipe {label}: {error}", hint=error.hint) from None
    return Recipe(label, folder, description, config, policy)


def _list_names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{RECIPE_FILE}"))


def _read_description(folder: Path) -> Description:
    path = folder / RECIPE_FILE
    try:
        description = Description.model_validate(tomllib.loads(_read_text(path, _MOST_CHARS)))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not TOML: {error}.", hint="A copy of a recipe of hitl shows its form.") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors())
        raise RecipeError(f"{path}: {wrong}.", hint="docs/recipes.md has every key.") from None
    data = description.data
    if bool(data.file) == bool(data.generate):
        raise RecipeError(f"{path}: data needs either file or generate.", hint="docs/recipes.md has every key.")
    if unknown := set(data.files) - data.fields.keys():
        raise RecipeError(f"{path}: data.files has {min(unknown)!r}, which is none of data.fields.")
    return description


def _read_text(path: Path, most: int) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        hint = f"A recipe has {CONFIG_FILE}, {POLICY_FILE}, {PAGE_FILE} and {RECIPE_FILE}."
        raise RecipeError(f"{path} cannot be read as text.", hint=hint) from None
    if len(text) > most:
        raise RecipeError(f"{path} has {len(text)} characters; the limit is {most}.")
    return text


def describe_needs(recipe: Recipe) -> str:
    """Return what a recipe needs besides hitl itself, in words."""
    extras = ",".join(recipe.description.extras)
    return f"pip install 'label-studio-hitl[{extras}]'" if extras else "nothing more"
