"""hitl agree without a terminal: its output, and the file that it writes."""

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
    return done.output


def analysed(folder, text, *arguments, gold=None):
    """What the command writes about a votes file with this text."""
    votes = folder / "votes.csv"
    votes.write_bytes(text if isinstance(text, bytes) else text.encode())
    if gold is not None:
        (folder / "gold.csv").write_text(gold, encoding="utf-8")
        arguments = (*arguments, "--gold", folder / "gold.csv")
    run("--votes", votes, "--json", folder / "out.json", *arguments)
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))
