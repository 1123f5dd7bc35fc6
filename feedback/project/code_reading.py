"""Read the code that a policy names without running it: other people's modules are found, parsed, and not imported."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from ml_backend.errors import UnknownName

_MAX_BYTES = 4 << 20  # a larger file is no source that somebody wrote
_BASE = "LabelStudioMLBase"


class NotReadable(Exception):
    """Code exists and does not show what it defines unless it runs; the message says why."""


@dataclass(slots=True)
class ModuleNames:
    """What the source of a module defines at its top level."""

    functions: set[str] = field(default_factory=set)  # functions, classes, and what is imported or assigned
    constants: set[str] = field(default_factory=set)  # texts and numbers
    bases: dict[str, list[str]] = field(default_factory=dict)  # of each class
    is_complete: bool = True  # False where it adds names while it runs: `from x import *`, `__getattr__`


def check_function(spec: str) -> None:
    """Check that "package.module:function" is written somewhere.

    UnknownName where it is not, with the nearest name; NotReadable where only running the module would show it.
    """
    path, _, name = spec.partition(":")
    module = find_module(path)
    if module is None:
        raise UnknownName(f"there is no module {path!r}.{_suggest(path, _list_siblings(path))}")
    if not module.has_location or not (module.origin or "").endswith(".py"):
        raise NotReadable(f"{path} has no Python source")
    found = read_module(Path(str(module.origin)))
    if name in found.constants - found.functions:
        raise UnknownName(f"{spec} cannot be called.")
    if name not in found.functions:
        if not found.is_complete:
            raise NotReadable(f"{path} adds names while it runs")
        near = _suggest(name, (other for other in found.functions if not other.startswith("_")), prefix=f"{path}:")
        raise UnknownName(f"{path} defines no {name!r}.{near}")


def check_hosted_model(spec: str) -> None:
    """Check that "path/to/file.py:Class" is a subclass of LabelStudioMLBase; errors as `check_function`."""
    path, _, name = spec.rpartition(":")
    if not path or not name.isidentifier():
        raise UnknownName(f'{spec!r} is not a hosted model; wanted "path/to/file.py:Class".')
    file = Path(path)
    try:
        is_file = file.is_file()
    except OSError:  # a name that is too long for a file
        is_file = False
    if not is_file:
        raise UnknownName(f"there is no file {path!r}; wanted the Python file of a model.")
    if find_module("label_studio_ml") is None:
        raise UnknownName(f"hosting {spec!r} needs label-studio-ml 1.0.9, which is not installed.")
    found = read_module(file)
    if name not in found.bases:
        if name in found.functions or not found.is_complete:
            raise NotReadable(f"{path} defines {name} while it runs")
        raise UnknownName(f"{spec!r} names no subclass of {_BASE}.{_suggest(name, found.bases, prefix=f'{path}:')}")
    bases, seen = list(found.bases[name]), set[str]()
    while bases:
        base = bases.pop()
        if base == _BASE:
            return
        if base not in found.bases:
            raise NotReadable(f"{name} derives from {base}, which is defined elsewhere")
        bases += found.bases[base] if base not in seen else ()
        seen.add(base)
    raise UnknownName(f"{spec!r} names no subclass of {_BASE}.")


def find_module(path: str) -> ModuleSpec | None:
    """Return where a module is, None where it is nowhere; unlike importlib's own, without importing its packages."""
    first, *rest = path.split(".")
    try:
        found = find_spec(first) if first else None
        for number in range(len(rest)):
            if found is None or found.submodule_search_locations is None:
                return None
            name = ".".join([first, *rest[: number + 1]])
            found = PathFinder.find_spec(name, list(found.submodule_search_locations))
    except (ImportError, ValueError):  # a module that was made by hand has no place
        return None
    return found


def read_module(file: Path) -> ModuleNames:
    """Return what a source file defines; UnknownName where it is no Python, NotReadable where it is too large."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise NotReadable(f"{file} has more than {_MAX_BYTES} bytes")
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        raise UnknownName(f"{str(file)!r} cannot be read: {error.strerror}.") from error
    except (RecursionError, MemoryError) as error:  # what Python compiles may be too deep for its parse tree
        raise NotReadable(f"{file} is nested too deep to be read") from error
    except (SyntaxError, ValueError) as error:
        raise UnknownName(f"{str(file)!r} is not Python: {type(error).__name__}: {str(error)[:120]}.") from error
    names = ModuleNames()
    for statement in _statements(tree.body):
        _note(statement, names)
    return names


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those under `if`, `try` and `with` too."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(statement, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                yield from _statements(getattr(statement, name, ()))


def _note(statement: ast.stmt, names: ModuleNames) -> None:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        names.functions.add(statement.name)
        names.is_complete &= statement.name != "__getattr__"
    elif isinstance(statement, ast.ClassDef):
        names.functions.add(statement.name)
        names.bases[statement.name] = [ast.unparse(base).rpartition(".")[2] for base in statement.bases]
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            names.functions.add(alias.asname or alias.name.partition(".")[0])
            names.is_complete &= alias.name != "*"
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        found = names.constants if isinstance(statement.value, ast.Constant) else names.functions
        found.update(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _list_siblings(path: str) -> list[str]:
    """Return the modules in the package in which this module was looked for."""
    parent, _, _ = path.rpartition(".")
    if not parent:
        return [module.name for module in pkgutil.iter_modules()]
    package = find_module(parent)
    places = package.submodule_search_locations if package else None
    return [f"{parent}.{module.name}" for module in pkgutil.iter_modules(list(places or ()))]


def _suggest(name: str, candidates: Iterable[str], *, prefix: str = "") -> str:
    near = next(iter(get_close_matches(name, list(candidates), n=1)), "")
    return f" Did you mean {prefix}{near}?" if near else ""
