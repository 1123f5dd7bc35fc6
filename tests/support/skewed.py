"""`python -m tests.support.skewed FILE`: `hitl worker` under a clock that goes wrong by the seconds in FILE."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main(file: str) -> None:
    right = time.time

    def wrong() -> float:
        return right() + float(Path(file).read_text() or 0)

    time.time = wrong  # before anything of ours is imported, so that nobody kept the right one
    from feedback.app.bootstrap import load_settings
    from feedback.app.worker_process import run_worker

    run_worker(load_settings())


if __name__ == "__main__":
    main(sys.argv[1])
