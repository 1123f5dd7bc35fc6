"""What sub-commands declare alike: PROJECT, TASK, --json, a recipe's tasks; and the class of commands that reads them.

PROJECT is the first positional argument of every command about a project: its number, or its title. Where a command
may be used without it, the only connected project is meant, unless the command says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from feedback.app.bootstrap import load_settings, opened_store
from feedback.errors import FeedbackError

_PROJECT = "The project's number, as in its address in Label Studio (/projects/12/), or its title."
_Function = TypeVar("_Function", bound=Callable[..., Any])
_VALUES = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "FILE"}  # as `--help` calls a value


def _complete_project() -> list[tuple[str, str]]:
    """Return the numbers of the projects for the shell's completion, with the titles, which some shells show."""
    try:
        settings = load_settings()
        if not settings.database_url and not settings.data_dir.exists():
            return []  # a store is not made by pressing the tab key
        with opened_store(settings, wait_s=0.5, ingest=False) as store:
            return [(row.id, row.title) for row in store.projects.list_projects()]
    except FeedbackError:
        return []


def project_argument(otherwise: str) -> Any:
    """Declare a PROJECT that may be left out; `otherwise` says what is done then. The command gets "" for it."""
    return typer.Argument(
        metavar="PROJECT",
        help=f"{_PROJECT} {otherwise}",
        default_factory=str,
        show_default=False,
        autocompletion=_complete_project,
    )


Project = Annotated[str, project_argument("It may be left out where one project is connected.")]
NamedProject = Annotated[str, typer.Argument(metavar="PROJECT", help=_PROJECT, autocompletion=_complete_project)]
Task = Annotated[int, typer.Argument(metavar="TASK", help="The id of the task in Label Studio.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
# of `hitl demo` and `hitl new`: the tasks of a recipe
RecipeData = Annotated[str, typer.Option(metavar="FILE", help="Tasks of yours: a CSV file, or a folder with one.")]
TextColumn = Annotated[str, typer.Option(help="In --data: the column of texts, or of file names.")]
LabelColumn = Annotated[str, typer.Option(help="In --data: the column of true labels.")]
TaskLimit = Annotated[int | None, typer.Option(min=1, help="Use only this number of tasks.")]
OnlyJson = Annotated[bool, typer.Option("--json", help="Print JSON. It is the only form.", show_default=False)]


class HitlCommand(TyperCommand):
    """A command whose PROJECT may be left out in front of the other arguments, and whose help is plain."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; where one too few is given, the PROJECT in front of them was left out."""
        arguments = [*filter(_is_argument, self.get_params(ctx))]
        required = [param.name for param in arguments if param.required]
        if required and arguments[0].name == "project" and not arguments[0].required:
            given: dict[str, Any] = self.make_parser(ctx).parse_args(list(args))[0]
            if given.get("project") and not all(given.get(name) for name in required):
                args = ["", *args]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, described as people expect: `--json`, `--votes FILE`, PROJECT."""
        return [_plain(param, ctx) for param in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, with required arguments as PROJECT, not {PROJECT}."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


class HitlGroup(TyperGroup):
    """A group of commands, whose help is plain."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options as `HitlCommand.get_params` does."""
        return [_plain(param, ctx) for param in super().get_params(ctx)]


class Commands(typer.Typer):
    """A typer whose commands are of `HitlCommand`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=HitlGroup, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """Register a command, as `typer.Typer.command` does."""
        return super().command(name, cls=HitlCommand, **options)


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _plain(param: Any, ctx: Any) -> Any:
    """Describe the value of a parameter by one word, or by none where its name says all."""
    if _is_argument(param):
        param.display_type_rich = _no_type
    elif param.is_flag:
        param.metavar = ""
    elif param.metavar is None:
        kind = param.display_type(ctx).strip("<>").removeprefix("list[").removesuffix("]").partition(" ")[0]
        param.metavar = _VALUES.get(kind)
    return param


def _no_type(ctx: Any) -> None:
    """Say nothing about the type of an argument: its name and its help do."""
