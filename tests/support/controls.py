"""One label config, task and answer for each control, and where the page of the editor shows the answer."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ml_backend.label_config import Control, read_label_config
from ml_backend.records import Answer

SIDE = 200  # pixels of the image


def picture() -> str:
    """A white image as a data URI."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "white").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@dataclass(frozen=True)
class Case:
    """A control, the task that it labels, and an answer to it."""

    tag: str  # with its attributes
    children: str
    shown: str  # the object
    data: dict[str, Any]
    value: Any
    drawn: str  # JavaScript that is true where the answer is on the page

    @property
    def name(self) -> str:
        return self.tag.split()[0]

    @property
    def label_config(self) -> str:
        target = "" if "toName" in self.tag else ' toName="o"'
        return f'<View>{self.shown}<{self.tag} name="c"{target}>{self.children}</{self.name}></View>'

    @property
    def control(self) -> Control:
        return read_label_config(self.label_config).control("c")

    @property
    def answer(self) -> Answer:
        return Answer(self.name.lower(), self.value)


def _checked(label: str) -> str:
    """The choice with this text is ticked."""
    return (
        "[...document.querySelectorAll('input:checked')].some(box => "
        f"(box.closest('label, [class*=choice]') || box.parentElement).innerText.includes('{label}'))"
    )


def _in_page(text: str) -> str:
    return f"document.body.innerText.includes('{text}')"


TEXT, WORDS = '<Text name="o" value="$text"/>', {"text": "Alice laughed at the white rabbit."}
HTML = '<HyperText name="o" value="$html"/>', {"html": "<p>Alice <b>laughed</b> at the white rabbit.</p>"}
IMAGE, SHOWN = '<Image name="o" value="$image"/>', {"image": picture()}
A_B = '<Label value="A"/><Label value="B"/>'
SPAN = "[...document.querySelectorAll('.htx-highlight')].some(span => span.textContent === 'laughed')"
HTML_SPAN = SPAN.replace("document.", "document.querySelector('iframe').contentDocument.")
PAINTED = (
    "[...document.querySelectorAll('.konvajs-content canvas, canvas')].some(canvas => {"
    "const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
    "let n = 0; for (let i = 3; i < all.length; i += 4) n += all[i] > 0 && all[i - 1] < 240;"
    "return n > 8 && n < all.length / 5})"
)
CASES = {
    f"{case.name} on {case.control.object_kind}": case
    for case in (
        Case(
            'Choices choice="multiple"',
            '<Choice value="X"/><Choice value="Y" alias="why" hotkey="q"/><Choice value="Z"/>',
            TEXT,
            WORDS,
            ("X", "why"),
            f"{_checked('X')} && {_checked('Y')}",
        ),
        Case(
            "Taxonomy",
            '<Choice value="Animal"><Choice value="Dog"/></Choice><Choice value="Plant"/>',
            TEXT,
            WORDS,
            (("Animal", "Dog"),),
            "document.querySelector('.ant-select-selection-item[title=Dog]') !== null",
        ),
        Case(
            "Rating",
            "",
            TEXT,
            WORDS,
            4,
            "document.querySelectorAll('[class*=rating] [aria-checked=true], .ant-rate-star-full').length >= 4",
        ),
        Case(
            "Number",
            "",
            TEXT,
            WORDS,
            3.5,
            "[...document.querySelectorAll('input[type=number]')].some(box => box.value === '3.5')",
        ),
        Case(
            "DateTime",
            "",
            TEXT,
            WORDS,
            "2024-01-02T10:30",
            "[...document.querySelectorAll('input[type=date]')].some(box => box.value === '2024-01-02')",
        ),
        Case(
            "TextArea",
            "",
            TEXT,
            WORDS,
            ("It was Alice",),
            _in_page("It was Alice"),
        ),
        Case(
            'Pairwise toName="o,p"',
            "",
            '<Text name="o" value="$text"/><Text name="p" value="$other"/>',
            {**WORDS, "other": "Nobody laughed."},
            "left",
            "[...document.querySelectorAll('.bg-primary-background.border')].map(box => box.innerText.trim()).join()"
            " === 'Alice laughed at the white rabbit.'",
        ),
        Case(
            "Ranker",
            "",
            '<List name="o" value="$items" title="Best first"/>',
            {"items": [{"id": "i1", "title": "first", "body": "1"}, {"id": "i2", "title": "second", "body": "2"}]},
            (("c", ("i2", "i1")),),
            "/second[^]*first/.test((document.querySelector('.htx-ranker-column') || {}).innerText)",
        ),
        Case("Labels", A_B, TEXT, WORDS, ((6, 13, "B"),), SPAN),
        Case("Labels", A_B, *HTML, ((6, 13, "A"),), HTML_SPAN),
        Case("HyperTextLabels", A_B, *HTML, ((6, 13, "B"),), HTML_SPAN),
        Case(
            "ParagraphLabels",
            A_B,
            '<Paragraphs name="o" value="$turns" layout="dialogue"/>',
            {"turns": [{"author": "Ann", "text": "Who was it?"}, {"author": "Bob", "text": "Alice laughed."}]},
            ((1, 6, 1, 13, "B"),),
            SPAN,
        ),
        Case("RectangleLabels", A_B, IMAGE, SHOWN, ((10.0, 20.0, 30.0, 15.0, 20.0, 1.0, "A"),), PAINTED),
        Case("EllipseLabels", A_B, IMAGE, SHOWN, ((50.0, 50.0, 20.0, 10.0, 30.0, 1.0, "A"),), PAINTED),
        Case(
            "PolygonLabels",
            A_B,
            IMAGE,
            SHOWN,
            ((((10.0, 10.0), (40.0, 10.0), (25.0, 20.0), (40.0, 40.0)), "A"),),
            PAINTED,
        ),
        Case("KeyPointLabels", A_B, IMAGE, SHOWN, ((50.0, 50.0, "A"),), PAINTED),
        Case(
            "BrushLabels",
            A_B,
            IMAGE,
            SHOWN,
            ((SIDE, SIDE, tuple(row * SIDE + side for row in range(50, 90) for side in (40, 120)), "A"),),
            PAINTED,
        ),
        Case(
            "TimeSeriesLabels",
            A_B,
            '<TimeSeries name="o" value="$series" valueType="json" timeColumn="t"><Channel column="v"/></TimeSeries>',
            {"series": {"t": list(range(100)), "v": [i * i % 17 for i in range(100)]}},
            ((20, 40, "A"),),
            "[...document.querySelectorAll('.regions rect.region')].some(box => box.style.display === 'block')",
        ),
        Case(
            "TimelineLabels",
            A_B,
            '<Video name="o" value="$video"/>',
            {"video": "/static/samples/opossum_snow.mp4"},
            ((5, 20, "A"),),
            "document.querySelectorAll('[class*=keyframes], [class*=timeline-region], [class*=lifespan]').length > 0",
        ),
    )
}
