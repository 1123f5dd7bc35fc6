"""hitl agree without a terminal: what it prints, as text and as JSON."""

import json

import typer
from typer.testing import CliRunner

from feedback.cli.agree import agree

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(agree)


def run(*arguments):
    done = CliRunner().invoke(app, [str(row) for row in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def analysed(folder, text, *arguments, gold=None):
    """What the command says in JSON about a votes file with this text."""
    votes = folder / "votes.csv"
    votes.write_bytes(text if isinstance(text, bytes) else text.encode())
    if gold is not None:
        (folder / "gold.csv").write_text(gold, encoding="utf-8")
        arguments = (*arguments, "--gold", folder / "gold.csv")
    return json.loads(run("--votes", votes, "--json", *arguments))
