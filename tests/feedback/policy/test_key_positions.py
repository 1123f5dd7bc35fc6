"""An error in a policy file names the line and the column of its key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import PolicyError
from feedback.policy import read_policy
from feedback.policy.key_positions import KeyPath, KeyPositions
from feedback.project.policy_validation import locate_findings, raise_policy_errors, validate_policy
from tests.support.policies import DAY_S

DOCS = Path(__file__).parents[3] / "docs"
TRICKY = '''
title = """a # no comment
[audit] = "no table"
share = 1"""  # [queue]
text = '[x]' # 'y = 1
"quo.ted" . "k\\u0065y" = { inner = [ { a.b = 1 }, # {
  { "c d" = 'x' } ], at = 1979-05-27 07:32:00 }
empty = ["", \'\'\'a'\'\'\', """b""""]
[a.b.c]
number = 1.5
[[list]]
name = "x"
[list.table]
k = [[1, 2],
  [3]]
[[list]]
name.y = +inf
[a]
late = true
'''


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[audit]\nquota = 0.1\n  shaer = 0.2", ["line 3, column 3: audit.shaer is not a key"]),
        ("version = 1\r\n[audit]\r\nshare = 9\r\n", ["line 3, column 1: audit.share is 9"]),
        ("audit = { quota = 0.1, share = 'x' }", ["line 1, column 24: audit.share is 'x'"]),
        ("gold.share = 0.1\ngold.tolerance = 2.0", ["line 2, column 6: gold.tolerance is 2.0"]),
        ("[[labelling_functions]]\nname = 'a'\nfunction = 'a:b'\n[[labelling_functions]]\nname = 'b'",
         ["line 4, column 3: labelling_functions.1.function is missing"]),
        ("[tiers.L1]\n[tiers.L2]\nnotify = [\n 'crm',\n]\n[notify.crn]\nurl = 'https://x.example'",
         ["line 4, column 2: tiers.L2.notify has 'crm'; did you mean 'crn'?"]),
        ("[people.'ann@example.com']\nskills = []\ntiers = ['L1', 'L9']",
         ["line 3, column 16: people.ann@example.com.tiers has 'L9'"]),
        ("routing = [{id = 'a', to = 'L1', when = {data.x = 1}},\n {id = 'a', to = 'L7'}]",
         ["line 2, column 3: routing.a exists twice", "line 2, column 13: routing.a.to is 'L7'"]),
        ("[[routing]]\nid = 'x'\nto = 'L1'\nwhen = { model.confidence.lt = 85 }\n[[routing]]\nid = 'y'\nto = 'L1'",
         ["line 4, column 27: routing.x.when: model.confidence.lt is 85"]),
        ("routing = [{id = 'x', to = 'L1', when = { any = [{ time.age.lt = 'x' }] }}, {id = 'y', to = 'L1'}]",
         ["line 1, column 34: routing.x.when: 'x' is no duration"]),
        ("[[routing]]\nid = 'x'\nto = 'L1'\n[routing.when]\ndata.a.gte = 1\ndata.b.gtr = {}\n[tiers.L1]",
         ["line 6, column 8: routing.x.when: data.b.gtr has no test"]),
        ("[reasons]\na = 'One'\nb = 'One'", ["line 1, column 2: reasons: two have the title 'One'"]),
        ("[audit]\nshare = 0.1\n  share = 0.2\n[queue]", ["line 3, column 3: it is not TOML: audit.share, or a part"]),
        ("[audit]\n[queue]\n[audit]", ["line 3, column 2: it is not TOML: audit, or a part of it, was given before"]),
        ("[queue]\nwindow = [1,\n 2", ["line 3, column 3: it is not TOML: Unclosed array"]),
        ("[queue]\nwindow = 5 6", ["line 2, column 12: it is not TOML"]),
        ("[imports]\nuse = “gold”", ["line 2, column 7: it is not TOML: Invalid value; '“' stands there"]),
        ("[imports]\nuse =\xa0'gold'", ["line 2, column 6: it is not TOML: Invalid value; '\\xa0' stands there"]),
    ],
)  # fmt: skip
def test_an_error_names_line_and_column(text: str, wanted: list[str]):
    with pytest.raises(PolicyError) as caught:
        read_policy(text)

    assert [sentence for sentence in wanted if sentence not in str(caught.value)] == [], str(caught.value)


def test_errors_of_names_and_clocks_name_them_too_where_the_file_has_the_key():
    text = '[consensus]\nmethod = "majorty"\n[tiers.L1]\n[tiers.L2]\nresolve = "10m"'
    findings = validate_policy(read_policy(text), lock_ttl_s=DAY_S)
    located = [str(finding) for finding in locate_findings(findings, KeyPositions.read(text))]

    assert any(sentence.startswith("line 2, column 1: consensus.method:") for sentence in located)
    assert any(sentence.startswith("line 4, column 8: tiers.L2:") for sentence in located)
    with pytest.raises(PolicyError, match=r"^line 2, column 1: consensus\.method"):
        raise_policy_errors(locate_findings(findings, KeyPositions.read(text)))
    assert KeyPositions.read(text).find("consensus.sure") is None


def test_a_name_that_two_entries_have_is_found_nowhere():
    positions = KeyPositions.read("[[routing]]\nid = 'x'\n[[routing]]\nid = 'x'\n[[routing]]\nid = 'y'")

    assert positions.find("routing.x") is None
    assert positions.find("routing.y.id") == ("routing", 2, "id")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_key_and_element_of_a_file_has_the_place_where_it_is_written(line_end: str):
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "policy.md").read_text(encoding="utf-8"), re.DOTALL)
    for text in (*blocks, TRICKY):
        positions = KeyPositions.read(text.replace("\n", line_end))
        for path in _paths(tomllib.loads(text)):
            rest = positions.text[positions.offsets[path] :]
            if isinstance(path[-1], str):
                assert rest.startswith((path[-1], f'"{path[-1]}"', f"'{path[-1]}'", '"k\\u0065y"')), path
            elif path[0] != "list" and path[0] not in ("routing", "labelling_functions"):
                assert rest[0] not in " ,#\n", path


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _paths(inner, (*path, key))
