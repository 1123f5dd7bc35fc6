"""[overlap], [consensus], [gold] and [[labelling_functions]] of hitl.toml: how several answers become one label."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from feedback.policy.sections import Name, Section, Share


class Overlap(Section):
    """How many people answer one task."""

    share: Share = 0.1  # of the tasks, drawn at random, for an unbiased agreement
    votes: Annotated[int, Field(ge=1, le=20)] = 2  # on those
    max_votes: Annotated[int, Field(ge=1, le=20)] = 3  # at most, when people differ
    adaptive: bool = True  # ask again where that is worth more than a new task; needs estimated reliabilities
    least_gain: Share = 0.1  # of the information in a certain answer; below it nobody is asked again
    measure: str = "cohen"  # judges the task definition: percent, alpha, ac1, fleiss, ..., or the name of a plug-in


class Consensus(Section):
    """How the votes on a task become a label. Audit and gold tasks always use the majority."""

    method: str = "auto"  # auto, majority, dawid_skene, hierarchical, one_coin, weighted, or the name of a plug-in
    sure: Share = 0.8  # the consensus probability from which a tie is decided
    model_votes: bool = True  # weight training rows with one to three votes also by an out-of-fold model
    write_back: bool = False  # write consensus labels of several people into Label Studio


class Gold(Section):
    """Tasks with a known answer, mixed into the queue; the answers are in our store only (`hitl gold add`)."""

    share: Share = 0.05  # of the queue
    onboarding: Annotated[int, Field(ge=0, le=1000)] = 10  # gold tasks that a new person gets first
    tolerance: Share = 0.3  # the largest distance (of the codec) at which a span or box is still right
    pause_below: Share = 0.6  # a person should be paused when their accuracy is below this with confidence
    retire_after: Annotated[int, Field(ge=1)] = 200  # answers, after which people know a gold task


class LabellingFunction(Section):
    """A function that votes for pre-annotations before the first model; never counted as a person."""

    name: Name
    function: Annotated[
        str, Field(pattern=r"^[\w.]+:\w+$")
    ]  # "package.module:function"; takes task data, returns a label or None
