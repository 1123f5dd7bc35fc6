"""python -m feedback is the hitl command: how the supervisor starts its children with its own interpreter."""

from feedback.cli import main

if __name__ == "__main__":
    main()
