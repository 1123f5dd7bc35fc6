"""A recipe is a folder of data: what it must have, and what is wrong with one, in a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feedback.demo.promises import FIGURES, KeptPromise, check_known
from feedback.errors import RecipeError
from feedback.recipes.recipe import FOLDER, Promise, Recipe, list_recipes, load_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Recipe]:
    """Load a copy of a recipe in which one file was changed."""

    def load(file: str, old: str, new: str) -> Recipe:
        folder = tmp_path / "mine"
        shutil.copytree(FOLDER / "defects", folder)
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
        return load_recipe(str(folder))

    return load


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_each_recipe_promises_figures_that_are_measured_and_stand_on_its_page(recipe: Recipe):
    page = (recipe.folder / "README.md").read_text(encoding="utf-8")

    check_known(recipe)
    assert recipe.description.promises
    assert f"## What `hitl demo --recipe {recipe.name}` promises" in page
    assert f"After {recipe.description.demo.answers} answers" in page
    for promise in recipe.description.promises.values():
        if promise.least < 1:
            assert f"{promise.least * 100:g}" in page


def test_no_code_of_a_recipe_is_outside_its_folder():
    names = {recipe.name for recipe in list_recipes()}
    sources = [path for path in (ROOT / "feedback").rglob("*.py") if path.parent.name not in names]

    assert names == {"defects", "digits", "spam"}
    assert [path for path in sources if any(f"recipes.{name}" in path.read_text("utf-8") for name in names)] == []


def test_a_folder_of_a_user_takes_the_place_of_a_name(own: Callable[..., Recipe]):
    recipe = own("recipe.toml", 'title = "Defects"', 'title = "Tiles"')

    assert (recipe.name, recipe.description.title) == ("mine", "Tiles")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("recipe.toml", 'title = "Defects"', "title = ", "is not TOML"),
        ("recipe.toml", 'title = "Defects"', 'titel = "Defects"', "title: field required; titel: extra inputs"),
        ("recipe.toml", 'generate = "generate.py"', "", "data needs either file or generate"),
        ("recipe.toml", 'generate = "generate.py"', 'file = "../data.csv"', "data.file: string should match"),
        ("recipe.toml", 'files = ["image"]', 'files = ["photo"]', "data.files has 'photo'"),
        ("recipe.toml", 'control = "defect"', 'control = "kind"', "recipe mine: .*kind"),
        ("label_config.xml", "<View>", "<Veiw>", "recipe mine: "),
        ("hitl.toml", "window = 120", "widow = 120", "queue.widow is not a key"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(own: Callable[..., Recipe], file: str, old: str, new: str, said: str):
    with pytest.raises(RecipeError, match=said):
        own(file, old, new)


def test_a_folder_that_is_no_recipe_and_a_name_that_is_none(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"recipe\.toml cannot be read") as refused:
        load_recipe(str(tmp_path))
    assert "label_config.xml" in refused.value.hint
    with pytest.raises(RecipeError, match="did you mean 'digits'"):
        load_recipe("digts")


def test_a_promise_is_kept_in_its_range_and_broken_outside_or_unknown():
    promise = Promise(least=0.06, most=0.14, text="share of open tasks")

    assert [KeptPromise("x", promise, figure).is_kept for figure in (0.05, 0.06, 0.14, 0.15, None)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert str(KeptPromise("x", promise, 0.1)) == "share of open tasks: 0.1 (promised: at least 0.06, at most 0.14)"


def test_a_promise_of_an_unknown_figure_is_refused(own: Callable[..., Recipe]):
    with pytest.raises(RecipeError, match="promises 'speed', which is no figure") as refused:
        check_known(own("recipe.toml", "reviewed = {", "speed = {"))
    assert all(name in refused.value.hint for name in FIGURES)
