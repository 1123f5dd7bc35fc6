"""Write synthetic short messages, spam or ham, as a table. Both kinds share phrases, so the work is honest."""

import csv
import random
from pathlib import Path

_TASKS = 1_200
_BORROWED = 0.22  # of the phrases come from the other kind
_OPENINGS = ("Hi", "Hello", "Dear {name}", "Hey {name}", "Good morning", "FYI", "Hi {name}", "Reminder", "Ok", "So")
_NAMES = ("Ann", "Raj", "Mia", "Tom", "Zoe", "Ali", "Eva", "Leo", "Ida", "Kim", "Max", "Noa")
_PHRASES = {
    "spam": (
        "you have won a prize of {n} pounds", "claim your reward today", "call {n} now", "this offer ends tonight",
        "reply YES to join", "your account will be closed", "click the link to confirm", "a free phone is waiting",
        "cheap loans without questions", "you were selected from {n} people", "send your bank details",
        "double your money in {n} days", "the last chance for your bonus", "text STOP to leave", "exclusive deal",
        "unpaid parcel fee of {n} pounds", "verify your password", "winner of our weekly draw",
    ),
    "ham": (
        "see you at {n}", "the train is late again", "can you call me back", "I paid the bill today",
        "the meeting moved to room {n}", "thanks for the cake", "the parcel has arrived", "please send me the notes",
        "I am on my way", "the account is with the bank", "happy birthday to you", "lunch for {n} people",
        "the phone is broken", "your book is at my place", "no time today", "let us talk about it", "did you win",
        "good luck with the exam",
    ),
}  # fmt: skip


def generate(folder: Path, *, seed: int) -> None:
    """Write data.csv (text, label) into a folder."""
    draw = random.Random(seed)  # noqa: S311 - synthetic texts, not a secret
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["text", "label"])
        for _ in range(_TASKS):
            label = draw.choice(("ham", "ham", "spam"))
            other = "ham" if label == "spam" else "spam"
            kinds = [other if draw.random() < _BORROWED else label for _ in range(draw.randint(3, 5))]
            parts = [draw.choice(_OPENINGS), *(draw.choice(_PHRASES[kind]) for kind in kinds)]
            text = ", ".join(parts).format(name=draw.choice(_NAMES), n=draw.randint(2, 999))
            rows.writerow([text, label])
