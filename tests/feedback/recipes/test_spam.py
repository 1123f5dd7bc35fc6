import pytest

from feedback.errors import RecipeError
from feedback.recipes import make_recipe
from ml_backend.label_config import read_label_config

ROWS = (("win a prize", "spam"), ("see you", "ham"), ("call now", "spam"))


@pytest.fixture
def made(tmp_path):
    """Give the recipe that is made of a file's content."""

    def make(content, *, name="texts.csv", **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return make_recipe("spam", data=file, **options)

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
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(RecipeError, match=path.name):
            make_recipe("spam", data=path)


def test_a_long_file_name_makes_no_title_that_label_studio_refuses(made):
    assert len(made(table(), name="a" * 120 + ".csv").title) <= 50
