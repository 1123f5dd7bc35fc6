"""Text with one label each, read from a CSV file: spam filters, topics, sentiment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from feedback.errors import RecipeError, VotesError
from feedback.policy import Policy
from feedback.policy.schema import Overlap, Queue
from feedback.recipes import ProjectRecipe
from feedback.reports.csv_table import describe_odd_labels, read_csv_table, unify_column
from ml_backend.number_format import format_counted

_MOST_LABELS = 100  # more than that is free text, not a label
_LONGEST_NAME = 38  # of the file, in the project's title: Label Studio allows 50 characters
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no label config can hold these

LABEL_CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" showInline="true">
    {choices}
  </Choices>
</View>"""


def make(*, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:
    """Return the recipe of a CSV file with a text and a label column; rows without one of them are left out."""
    if data is None:
        raise RecipeError(
            "the spam recipe needs a CSV file.", hint="hitl demo --recipe spam --data FILE.csv --text COL --label COL"
        )
    try:
        table = read_csv_table(data, [text], [label], hint="Name the columns with --text and --label.", ragged=True)
    except VotesError as error:
        raise RecipeError(str(error), hint=error.hint) from None
    complete = table.select([bool(content and name) for content, name in zip(*table.columns, strict=True)])
    texts, names = complete.columns
    rows, notes = [*zip(texts, unify_column(names, table.notes), strict=True)][:limit], table.notes
    if without := len(table.rows) - len(complete.rows):
        left_out = format_counted(without, f"row of {data.name} has", f"rows of {data.name} have")
        notes.append(f"{left_out} no text or no label and {'is' if without == 1 else 'are'} left out")
    labels = sorted({name for _, name in rows})
    _refuse_unusable(data, label, labels)
    notes += describe_odd_labels(labels)
    choices = "\n    ".join(f"<Choice value={quoteattr(name)}/>" for name in labels)
    return ProjectRecipe(
        title=f"{data.stem[:_LONGEST_NAME]} (hitl demo)",
        label_config=LABEL_CONFIG.format(choices=choices),
        tasks=[{"text": content} for content, _ in rows],
        truth=[name for _, name in rows],
        control="label",
        policy=Policy(queue=Queue(window=200, head=8), overlap=Overlap(share=0.15)),
        notes=tuple(notes),
    )


def _refuse_unusable(path: Path, column: str, labels: Sequence[str]) -> None:
    if not 2 <= len(labels) <= _MOST_LABELS:
        held = f"only {labels[0][:40]!r}" if len(labels) == 1 else f"{len(labels)} different values"
        raise RecipeError(
            f"column {column!r} of {path.name} holds {held}; wanted 2 to {_MOST_LABELS} labels.",
            hint="Is it the column of labels? Rows without a text or a label, and those beyond --limit, do not count.",
        )
    if odd := next((name for name in labels if _NOT_XML.search(name)), None):
        raise RecipeError(
            f"{path.name} has the label {odd[:40]!r}, which no label config can hold.",
            hint="Remove the control character.",
        )
