"""JSON and tables of the sub-commands."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from feedback.cli.terminal import print_json, print_table


@dataclass(frozen=True)
class Row:
    name: str
    value: float


def test_a_narrow_terminal_wraps_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "30")

    print_table([{"person": "ann", "accuracy": "0.52 [0.24, 0.76]", "onboarding": "10 of 10: 0.50 [0.23, 0.77]"}])

    lines = [line.replace(" ", "").split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = ["".join(line[column] for line in lines) for column in (2, 3)]
    assert cells == ["0.52[0.24,0.76]", "10of10:0.50[0.23,0.77]"]


def test_a_table_without_rows_is_not_printed(capsys: pytest.CaptureFixture[str]):
    print_table([])

    assert capsys.readouterr().out == ""


def test_records_are_json_objects_and_nan_is_null(capsys: pytest.CaptureFixture[str]):
    print_json({"rows": [Row("é", float("nan"))], 7: "x"})

    assert json.loads(capsys.readouterr().out) == {"rows": [{"name": "é", "value": None}], "7": "x"}
