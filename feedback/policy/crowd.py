"""How answers become one: the method of consensus, gold questions, other voters, and when to ask again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from feedback.policy.sections import Name, Section, Share


class Overlap(Section):
    """How many people answer one task."""

    share: Share = 0.1  # of the tasks, drawn at random, for an unbiased agreement
    votes: Annotated[int, Field(ge=1, le=20)] = 2  # on those
    max_votes: Annotated[int, Field(ge=1, le=20)] = 3  # asked for at most when people differ
    adaptive: bool = True  # ask again where it teaches more than a new task would; once people's habits are known
    least_gain: Share = 0.1  # of what a sure answer tells: below it nobody is asked again
    measure: str = "cohen"  # what judges the task definition: percent, alpha, ac1, fleiss, ..., or a plug-in's name


class Consensus(Section):
    """What several answers to a task say together. Audit and gold tasks are settled by majority, whatever is here."""

    method: str = "auto"  # auto, majority, dawid_skene, hierarchical, one_coin, weighted, or a plug-in's name
    sure: Share = 0.8  # a tie is settled when the consensus is at least so sure
    model_votes: bool = True  # weigh training rows of one to three votes also by a model that never learned them
    write_back: bool = False  # write the settled answers of several people into Label Studio


class Gold(Section):
    """Tasks whose answer is known, asked among the others; the answers are in our store alone (`hitl gold add`)."""

    share: Share = 0.05  # of the queue
    onboarding: Annotated[int, Field(ge=0, le=1000)] = 10  # gold tasks that a new person meets first
    tolerance: Share = 0.3  # of spans and boxes: so far from the known answer, by the codec's distance, is still right
    pause_below: Share = 0.6  # a person who is surely right less often than this should be paused
    retire_after: Annotated[int, Field(ge=1)] = 200  # answers, after which people know a gold task by heart


class LabellingFunction(Section):
    """A rule of thumb that votes for pre-annotations before the first model; never counted as a person."""

    name: Name
    function: Annotated[
        str, Field(pattern=r"^[\w.]+:\w+$")
    ]  # "package.module:function"; task data in, label or None out
