"""Handwritten digits: scikit-learn's 1,797 real 8 x 8 scans as small PNG images."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from feedback.errors import RecipeError
from feedback.policy import Policy
from feedback.policy.schema import Overlap, Queue
from feedback.recipes import ProjectRecipe

_SIZE = 96  # pixels per side
_SHOWN = 240  # pixels per side in the browser, where the choices must stay in sight below the picture

LABEL_CONFIG = """<View>
  <Header value="Which digit is it?"/>
  <Image name="image" value="$image" maxWidth="{width}px" zoomControl="false"/>
  <Choices name="digit" toName="image" choice="single" showInline="true">
    {choices}
  </Choices>
</View>"""


def make(*, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:  # noqa: ARG001
    """Return the recipe of the first `limit` digits, in the data set's own order."""
    if data is not None:
        raise RecipeError(
            "the digits recipe brings its own images.", hint=f"Texts of yours: --recipe spam --data {data}"
        )
    from sklearn.datasets import load_digits

    digits = load_digits()
    choices = "\n    ".join(f'<Choice value="{digit}"/>' for digit in range(10))
    return ProjectRecipe(
        title="Digits (hitl demo)",
        label_config=LABEL_CONFIG.format(choices=choices, width=_SHOWN),
        tasks=[{"image": _data_uri(image)} for image in digits.images[:limit]],
        truth=[str(target) for target in digits.target[:limit]],
        control="digit",
        policy=Policy(queue=Queue(window=200, head=8), overlap=Overlap(share=0.15)),
    )


def _data_uri(image: object) -> str:
    import numpy as np
    from PIL import Image

    grey = (255 - np.asarray(image) * 255 / 16).astype("uint8")  # the scans are 0..16, ink high
    out = BytesIO()
    Image.fromarray(grey, "L").resize((_SIZE, _SIZE), Image.Resampling.NEAREST).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
