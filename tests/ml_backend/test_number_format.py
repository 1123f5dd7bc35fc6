"""Numbers have one form for each kind, everywhere."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.number_format import (
    format_coefficient,
    format_count,
    format_money,
    format_number,
    format_percent,
    format_points,
    format_seconds,
    format_share,
)

ROOT = Path(__file__).parents[2]
AD_HOC = re.compile(r"[,%]|\.\d[fge]?$")  # separators, percentages and decimals
# whole seconds and degrees in a sentence, times of a log, coordinates of a drawing and a file's time are no figures
ALLOWED = {"ml_backend/number_format.py", "feedback/reports/svg_charts.py"}
NO_FIGURES = re.compile(r"^(\.0f|\.2g|\d?\d?\.?\d*\.[36]f|\.3g|%Y.*|\.\{.*)$")


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_a_dash(unknown: float | None):
    for form in (format_count, format_percent, format_coefficient, format_number, format_money):
        assert form(unknown) == "–"
    assert format_share(unknown, 0.0, 1.0) == format_points(unknown, None, None) == "–"
    assert format_seconds(unknown) in ("–", "without end")


@given(st.floats(0.0, 1.0))
def test_a_share_reads_as_none_or_all_only_where_it_is(share: float):
    text = format_percent(share)

    assert (text == "0 %") == (share == 0.0)
    assert (text == "100 %") == (share == 1.0)
    assert bool(re.fullmatch(r"1\.0+", format_coefficient(share))) == (share == 1.0)
    assert len(re.sub(r"\D", "", text).lstrip("0")) <= 2 or share > 0.994


@given(st.floats(-1e12, 1e12))
def test_no_zero_has_a_sign_and_thousands_have_commas(value: float):
    for text in (format_count(value), format_percent(value), format_number(value), format_money(value)):
        assert not re.fullmatch(r"-0(\.0+)?( %)?", text)
        assert not re.search(r"\d{4}", text.split(".")[0])
    assert format_coefficient(value / 1e15) != "-0.00"


def test_no_other_module_has_a_number_format_of_its_own():
    found = []
    for folder in ("feedback", "ml_backend", "sampling"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if (name := str(file.relative_to(ROOT))) in ALLOWED:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                    spec = ast.unparse(node.format_spec)[2:-1]
                    if AD_HOC.search(spec) and not NO_FIGURES.match(spec):
                        found.append(f"{name}:{node.lineno}: {spec}")
    for page in sorted((ROOT / "feedback").rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        found += [f"{page.name}: {hit}" for hit in re.findall(r"""["']%[^"'\n]*[fdge%]["']\s*\|\s*format""", text)]

    assert found == []
