"""Our own annotations: how each is marked, so that nobody can take it for what a person said, whatever is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

# "hitl" in ASCII. With version 8 (RFC 9562: the maker's own) no id that Label Studio draws (version 4) is one of ours.
_PREFIX = "6869746c-"
_VERSION = "8"

# Label Studio's own word for what no hand made in its editor. REST shows it for ever; a unique_id is told by webhooks
# only, so without this a write whose webhook was lost and whose writer was killed would read as a person's answer.
OWN_ANNOTATION_FIELDS: Mapping[str, Any] = {"bulk_created": True}


def own_unique_id(name: str) -> str:
    """The unique_id of an annotation that we write, the same for the same name; Label Studio takes UUIDs only.

    >>> own_unique_id("case 1, round 1")
    '6869746c-ce3b-858c-b728-6b3058ab5823'
    """
    drawn = str(uuid5(NAMESPACE_URL, f"hitl/{name}"))
    return _PREFIX + drawn[9:14] + _VERSION + drawn[15:]


def is_own_annotation(unique_id: str | None) -> bool:
    """Whether an annotation was written by us, as its unique_id tells.

    >>> is_own_annotation(own_unique_id("x")), is_own_annotation("7745cdff-e1ae-4291-8644-30a02232d4f7"), is_own_annotation(None)
    (True, False, False)
    """
    if unique_id is None or not unique_id.startswith(_PREFIX):
        return False
    try:
        return str(UUID(unique_id))[14] == _VERSION
    except ValueError:
        return False
