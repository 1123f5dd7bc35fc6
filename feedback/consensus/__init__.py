"""What people say together: `Votes` in, `Consensus` out, one method a file."""

from __future__ import annotations

from feedback.consensus.majority import majority
from feedback.consensus.record import Consensus
from feedback.votes import Votes

__all__ = ["Consensus", "Votes", "majority"]
