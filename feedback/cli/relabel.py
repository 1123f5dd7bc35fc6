"""hitl relabel: a label changed its meaning; old answers are renamed or asked again."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, NamedProject
from feedback.cli.terminal import print_found
from feedback.errors import VotesError
from ml_backend.clean_text import clean_text
from ml_backend.number_format import format_counted


def relabel(
    project: NamedProject,
    where: Annotated[
        str, typer.Option("--where", help="The answers: label=X, where X is the label whose meaning changed.")
    ],
    mapped: Annotated[str, typer.Option("--map", help="X=Y: label X is now called Y. Nobody is asked again.")] = "",
    split: Annotated[
        str, typer.Option("--split", help="X=a,b,c: label X became several labels. People are asked again.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Mark answers as stale and ask for them again, blind and first; with --map only rename them.

    No model learns from stale answers.
    """
    from feedback.project.label_changes import apply_label_changes, record_label_change
    from feedback.project.snapshot import load_snapshot

    where, mapped, split = map(clean_text, (where, mapped, split))
    name, _, label = where.partition("=")
    hint = "hitl relabel 12 --where label=X, with --map X=Y for a new name or --split X=a,b,c for several labels."
    if name != "label" or not label:
        raise VotesError(f"--where is {where!r}, which is not valid; wanted label=X.", hint=hint)
    if mapped and split:
        raise VotesError("--map and --split cannot be used together.", hint=hint)
    to, parts = renamed(label, mapped=mapped, split=split)
    with opened_project(project) as (store, row):
        snapshot = load_snapshot(store, row, row.policy)
        labels, now_s = snapshot.control.labels, time.time()
        imports = [vote for answers in snapshot.imports.values() for vote in answers]
        given = [*snapshot.votes, *imports]
        done = record_label_change(store, row.id, given, labels, label=label, to=to, split=parts, now_s=now_s)
        everybody = {vote.person for vote in snapshot.votes}
        stale = apply_label_changes(snapshot.votes, [done]).stale
    stuck = 0 if done.to else sum(count >= len(everybody) for count in stale.values())
    n_imported = sum(vote.annotation in done.versions for vote in imports)
    n_stale = len(done.versions) - n_imported
    answers, tasks = format_counted(n_stale, "answer", "answers"), format_counted(len(stale), "task", "tasks")
    lines = [f"Stale: {answers} on {tasks}. They are asked again, blind and first."]
    if n_imported:
        lines.append(f"{format_counted(n_imported, 'imported answer is', 'imported answers are')} not used any more.")
    if done.to:
        lines = [f"{format_counted(len(done.versions), 'answer now has', 'answers now have')} the label {done.to!r}."]
    if stuck:
        lines.append(
            f"{format_counted(stuck, 'of these tasks was', 'of these tasks were')} answered by everybody. Label Studio "
            "gives nobody a task twice: let another person answer them, or change the answers in the Data Manager."
        )
    found = {"project": row.id, "answers": len(done.versions), "to": done.to, "stale_tasks": [*stale], "stuck": stuck}
    print_found(found, lines, as_json=as_json)


def renamed(label: str, *, mapped: str, split: str) -> tuple[str, tuple[str, ...]]:
    """Return the new name of a label, or the labels that it became, from the options of `hitl relabel`.

    VotesError where an option names another label, or no new label.

    >>> renamed("ads", mapped="ads=Yes, surely", split=""), renamed("rude", mapped="", split="rude=hate,insult")
    (('Yes, surely', ()), ('', ('hate', 'insult')))
    """
    change = mapped or split
    rest = change.removeprefix(f"{label}=").strip()
    parts = tuple(part.strip() for part in rest.split(",") if part.strip())
    if change and (rest == change.strip() or not parts):
        raise VotesError(
            f"--where names {label!r}, and the change is {change!r}; wanted the same label and its replacement.",
            hint=f"--map {label}=Y for a new name, or --split {label}=a,b,c for several labels.",
        )
    return (rest, ()) if mapped else ("", parts)
