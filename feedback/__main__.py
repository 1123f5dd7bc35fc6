"""python -m feedback is the hitl command: how the supervisor starts its children with its own interpreter."""

from feedback.commands import main

if __name__ == "__main__":
    main()
