"""Text with one label each, read from a CSV file: spam filters, topics, sentiment."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

from feedback.errors import RecipeError
from feedback.policy import Policy
from feedback.policy.schema import Overlap, Queue
from feedback.recipes import ProjectRecipe

_MOST_LABELS = 100  # more than that is free text, not a label

LABEL_CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" showInline="true">
    {choices}
  </Choices>
</View>"""


def make(*, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:
    """Read a CSV file with a text column and a label column; rows without either are left out."""
    if data is None:
        raise RecipeError(
            "the spam recipe needs a CSV file.", hint="hitl demo --recipe spam --data FILE.csv --text COL --label COL"
        )
    rows = _read(data, text, label)[:limit]
    labels = sorted({row[1] for row in rows})
    if not 2 <= len(labels) <= _MOST_LABELS:
        raise RecipeError(
            f"column {label!r} of {data.name} holds {len(labels)} different values; wanted 2 to {_MOST_LABELS}."
        )
    choices = "\n    ".join(f"<Choice value={quoteattr(name)}/>" for name in labels)
    return ProjectRecipe(
        name="spam",
        title=f"{data.stem} (hitl demo)",
        label_config=LABEL_CONFIG.format(choices=choices),
        tasks=[{"text": row[0]} for row in rows],
        truth=[row[1] for row in rows],
        control="label",
        policy=Policy(queue=Queue(window=200, head=8), overlap=Overlap(share=0.15)),
    )


def _read(path: Path, text: str, label: str) -> list[tuple[str, str]]:
    csv.field_size_limit(min(sys.maxsize, 1 << 24))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            if missing := [name for name in (text, label) if name not in columns]:
                raise RecipeError(
                    f"{path.name} has no column {missing[0]!r}; it has: {', '.join(columns) or 'none'}.",
                    hint="Name the columns with --text and --label.",
                )
            pairs = [((row[text] or "").strip(), (row[label] or "").strip()) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path} cannot be read as UTF-8 CSV: {error}") from None
    return [(words, name) for words, name in pairs if words and name]
