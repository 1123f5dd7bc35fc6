"""hitl evaluate: how good the built-in models are on a labelled file, before anybody annotates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from feedback.cli.progress import report_progress
from feedback.cli.terminal import json_text, print_table, screen, write_output
from feedback.errors import FileError

if TYPE_CHECKING:
    from feedback.reports.model_evaluation import Evaluation
    from ml_backend.features.image_archive import ImageArchive
    from ml_backend.models import Recipe

_MAX_ROWS = 15
Features = Literal["default", "embedding", "vision"]
_TITLES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "auc": "area under the ROC curve"}
_CONFIG = """<View>
  <{shown} name="shown" value="${field}"/>
  <Choices name="label" toName="shown"><Choice value="in"/><Choice value="the file"/></Choices>
</View>"""


def evaluate(
    data: Annotated[Path, typer.Option(help="The CSV file with the rows and their labels.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The column of the true label.")],
    text: Annotated[
        str,
        typer.Option(
            metavar="COLUMN,...", help="The text column, or several. Without it and --image all columns are read."
        ),
    ] = "",
    image: Annotated[
        str, typer.Option(metavar="COLUMN", help="With --images: the column of the name of the image's file.")
    ] = "",
    images: Annotated[Path | None, typer.Option(metavar="ZIP", help="A ZIP file with the images.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="A file of test rows. Default: a fifth of each label, drawn for each seed.")
    ] = None,
    labels: Annotated[
        int,
        typer.Option(
            min=0, show_default=False, help="Train on so many rows, drawn at random. Default: on all training rows."
        ),
    ] = 0,
    features: Annotated[
        Features,
        typer.Option(metavar="NAME", show_default=False, help="default, embedding (of texts) or vision (of images)"),
    ] = "default",
    seeds: Annotated[int, typer.Option(min=1, help="How often rows are drawn; figures are means.")] = 3,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON; - is standard output.")
    ] = None,
) -> None:
    """Train the built-in model on a labelled file, and measure it on rows that it did not see."""
    from feedback.reports.labelled_file import match_labels, read_labelled_file
    from feedback.reports.model_evaluation import evaluate_recipe
    from ml_backend.features.image_archive import ImageArchive

    archive, columns = None, [name for name in text.split(",") if name.strip()]
    if bool(image) != (images is not None):
        raise FileError("--image and --images belong together.", hint="--images pictures.zip --image file")
    if images is not None:
        if columns:
            raise FileError("no built-in model reads texts and images together.", hint="Give --text or --image.")
        archive, columns = ImageArchive(images), [image]
    report_progress("read the file")
    rows = read_labelled_file(data, columns=columns, label=label, images=archive)
    tested = read_labelled_file(test, columns=columns, label=label, images=archive) if test else None
    tested = match_labels(tested, set(rows.labels)) if tested else None
    recipe = _make_recipe("Image" if archive else "Text" if columns else "Table", archive, features)
    found = evaluate_recipe(recipe, rows, tested, n_labels=labels, n_seeds=seeds, report=report_progress)
    if json is None or write_output(json, json_text(_to_json(found, features))):
        _print(found)


def _make_recipe(shown: str, archive: ImageArchive | None, features: Features) -> Recipe:
    """Return the recipe with which the loop learns one label of what a tag shows; images are in the archive."""
    from feedback.policy.schema import Model, Policy
    from feedback.reports.labelled_file import FIELD
    from feedback.training.model_factory import ModelFactory
    from ml_backend.features.media import Media
    from ml_backend.label_config import read_label_config

    config = read_label_config(_CONFIG.format(shown=shown, field=FIELD))
    factory = ModelFactory(lambda: (), media=Media(fetch=archive.fetch if archive else None))
    return factory.recipe(config, config.control(), Policy(model=Model(features=features)))


def _to_json(found: Evaluation, features: str) -> dict[str, Any]:
    """Return the figures by name, as docs/evaluation.md describes them."""
    from feedback.stats.intervals import json_number

    return {
        "metrics": {name: json_number(figure.value) for name, figure in found.metrics.items()},
        "intervals": {name: figure.to_json() for name, figure in found.metrics.items()},
        "n_train": found.n_train,
        "n_test": found.n_test,
        "features": features,
        "seconds": round(found.seconds, 2),
        "recipe": found.recipe,
        "baseline_accuracy": json_number(found.baseline),
        "seeds": found.per_seed,
        "labels": found.by_label,
        "notes": found.notes,
    }


def _print(found: Evaluation) -> None:
    from ml_backend.number_format import (
        format_count,
        format_counted,
        format_estimate,
        format_number,
        format_percent,
        format_seconds,
    )

    console = screen()
    console.print(
        f"{found.recipe}, trained on {format_count(found.n_train)} rows and tested on {format_count(found.n_test)}, "
        f"mean of {format_counted(len(found.per_seed), 'seed', 'seeds')}, in {format_seconds(found.seconds)}."
    )
    print_table(
        {"figure": _TITLES[name], "value (95 %)": format_estimate(figure.value, figure.low, figure.high)}
        for name, figure in found.metrics.items()
    )
    console.print(f"Always the most frequent label would have an accuracy of {format_percent(found.baseline)}.")
    shown = [
        {"label": name, "F1": format_number(row["f1"]), "test rows": format_number(row["n_test"])}
        for name, row in found.by_label.items()
    ]
    print_table(shown[:_MAX_ROWS], title=f"the {_MAX_ROWS} labels with the lowest F1" if shown[_MAX_ROWS:] else None)
    for note in found.notes:
        console.print(f"Note: {note}.")
