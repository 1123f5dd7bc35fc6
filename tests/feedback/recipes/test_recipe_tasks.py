import shutil
from zipfile import ZipFile

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from feedback.errors import RecipeError
from feedback.recipes.recipe import load_recipe
from feedback.recipes.recipe_tasks import load_tasks
from ml_backend.features.image import image_rows
from ml_backend.features.media import Media
from ml_backend.label_config import read_label_config
from tests.support.recipe_tasks import inline_tasks

ROWS = (("win a prize", "spam"), ("see you", "ham"), ("call now", "spam"))


@pytest.fixture
def made(tmp_path):
    """Give the recipe that is made of a file's content."""

    def make(content, *, name="texts.csv", **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_tasks(load_recipe("spam"), tmp_path, data=str(file), **options)

    return make


def table(sign=",", header=("text", "label"), rows=ROWS):
    return "".join(f"{sign.join(row)}\r\n" for row in (header, *rows))


def pairs(recipe):
    return tuple((data["text"], label) for data, label in zip(recipe.tasks, recipe.truth, strict=True))


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_sign_between_cells_is_found_by_the_columns_that_were_named(made, sign):
    rows = [('"1,2;3"', *row) for row in ROWS]

    recipe = made(table(sign, header=('"a,b;c"', "text ", " label"), rows=rows))

    assert pairs(recipe) == ROWS
    assert recipe.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(made, encoding):
    assert pairs(made(table(rows=[*ROWS, ("größer", "ham")]).encode(encoding)))[-1] == ("größer", "ham")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_file_that_is_not_utf_8_is_read_in_the_encoding_of_spreadsheets_with_a_note(made, encoding):
    recipe = made(table(rows=[*ROWS, ("£100 für dich", "spam")]).encode(encoding))

    assert pairs(recipe)[-1] == ("£100 für dich", "spam")
    assert "not UTF-8 (line 5)" in recipe.notes[0]


def test_a_quoted_text_keeps_its_lines(made):
    assert pairs(made('text,label\n"one\r\ntwo, ""2""",ham\nx,spam\n'))[0] == ('one\r\ntwo, "2"', "ham")


def test_rows_without_a_text_or_a_label_are_left_out_and_counted(made):
    recipe = made("text,label,x\na,ham,1\n ,ham,2\nb\n\nc,spam,3,4\nd,,5\n")

    assert pairs(recipe) == (("a", "ham"), ("c", "spam"))
    assert recipe.notes == ("3 rows of texts.csv have no text or no label and are left out",)


def test_labels_of_any_words_survive_the_label_config(made):
    labels = ['say "hi"', "<b>", "a & b", "$5", "it's", "良い"]
    rows = "".join(f'{number},"{label.replace(chr(34), chr(34) * 2)}"\n' for number, label in enumerate(labels))

    recipe = made(f"text,label\n{rows}")

    assert read_label_config(recipe.label_config).control(recipe.control).labels == tuple(sorted(labels))


@pytest.mark.parametrize(
    ("content", "given"),
    [
        ("", "texts.csv is empty"),
        ("v1,v2\na,b\n", "no column 'text'; it has 'v1', 'v2'"),
        ("Words,Label\na,b\n", "no column 'text'; it has 'Words', 'Label'"),
        ("text,text,label\na,b,c\n", "the column 'text' twice"),
        ("text,label\n", "a header and no rows"),
        (table(rows=[("a", "spam"), ("b", "spam")]), "holds only 'spam'; wanted 2 to 100"),
        (table(rows=[(str(number), str(number)) for number in range(101)]), "holds 101 different values"),
        (table(rows=[("a", "x\x01y"), ("b", "z")]), r"the label 'x\\x01y', which no label config can hold"),
        (b"text,label\na\x00b,ham\n", "not a text file"),
        (b"text,label\nok,ham\n\x81,spam\n", "line 3: not UTF-8"),
        (",".join(f"column {number}" for number in range(30)), "'column 11' and 18 more"),
    ],
)
def test_what_cannot_become_a_project_is_refused_with_a_sentence(made, content, given):
    with pytest.raises(RecipeError, match=given) as refused:
        made(content)

    assert refused.value.hint


def test_a_missing_file_is_named(tmp_path):
    for path, given in ((tmp_path, "has 0 CSV files; wanted one"), (tmp_path / "none.csv", "none.csv")):
        with pytest.raises(RecipeError, match=given):
            load_tasks(load_recipe("spam"), tmp_path, data=str(path))


def test_a_long_file_name_makes_no_title_that_label_studio_refuses(made):
    assert len(made(table(), name="a" * 120 + ".csv").title) <= 50


def test_a_limit_draws_from_the_whole_file_and_not_from_its_beginning(made):
    rows = "".join(f"t{number},{'ham' if number < 50 else 'spam'}\n" for number in range(100))

    labels = [label for _, label in pairs(made(f"text,label\n{rows}", limit=20))]

    assert len(labels) == 20
    assert set(labels) == {"ham", "spam"}


def test_images_are_found_beside_the_table_or_in_its_archive_and_nowhere_else(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    (folder / "labels.csv").write_text("file,label\na.png,Crack\nb/c.png,Free\n../secret.txt,Free\n")
    (folder / "a.png").write_bytes(b"beside")
    (tmp_path / "secret.txt").write_text("secret")
    with ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("b/c.png", b"archived")

    found = load_tasks(load_recipe("defects"), tmp_path, data=str(folder))

    assert (found.read_file("a.png"), found.read_file("b/c.png")) == (b"beside", b"archived")
    assert read_label_config(found.label_config).control("defect").labels == ("Crack", "Free")
    assert found.title == "labels (hitl demo)"
    for name in ("../secret.txt", "none.png", str(tmp_path / "secret.txt")):
        with pytest.raises(RecipeError, match="is neither in"):
            found.read_file(name)


def test_a_data_set_is_found_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "sets" / "words").mkdir(parents=True)
    (tmp_path / "sets" / "words" / "data.csv").write_text(table())
    monkeypatch.setenv("HITL_DATA_SETS", str(tmp_path / "sets"))

    assert pairs(load_tasks(load_recipe("spam"), tmp_path, data="words")) == ROWS


def test_a_generator_that_fails_is_a_sentence(tmp_path):
    own = tmp_path / "mine"
    shutil.copytree(load_recipe("spam").folder, own)
    (own / "generate.py").write_text("def generate(folder, *, seed):\n    raise ValueError('no disk')\n")

    with pytest.raises(RecipeError, match=r"generate\.py failed: ValueError: no disk") as refused:
        load_tasks(load_recipe(str(own)), tmp_path)

    assert "generate(folder, *, seed)" in refused.value.hint


def simple_model(name, made):
    """How often a simple model, trained on one half of the tasks, is right on the other."""
    half = len(made.truth) // 2
    if name == "spam":
        rows, model = [task["text"] for task in made.tasks], make_pipeline(TfidfVectorizer(), LogisticRegression())
    else:
        rows = np.stack([row for (row,) in image_rows([task["image"] for task in made.tasks], Media())])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    return model.fit(rows[:half], made.truth[:half]).score(rows[half:], made.truth[half:])


@pytest.mark.parametrize("name", ["spam", "defects"])
def test_generated_data_are_labelled_synthetic_and_honest_work(tmp_path, name):
    recipe = load_recipe(name)
    made = load_tasks(recipe, tmp_path) if name == "spam" else inline_tasks(name, limit=400)

    assert 0.70 <= simple_model(name, made) <= 0.95
    assert "synthetic" in (recipe.folder / "README.md").read_text(encoding="utf-8")
