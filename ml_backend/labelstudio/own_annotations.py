"""Mark the annotations that we write, so that they never count as a person's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

_PREFIX = "6869746c-"  # "hitl" in ASCII
_VERSION = "8"  # of RFC 9562, free for own use; Label Studio's random ids have version 4
# Label Studio's field for annotations that were not made in its editor. REST always shows it, but only webhooks show a
# unique_id: without this field, a write whose webhook was lost and whose writer was killed would count as a person's.
OWN_ANNOTATION_FIELDS: Mapping[str, Any] = {"bulk_created": True}


def own_unique_id(name: str) -> str:
    """Return the unique_id of an annotation of ours, the same for the same name; Label Studio accepts UUIDs only.

    >>> own_unique_id("case 1, round 1")
    '6869746c-ce3b-858c-b728-6b3058ab5823'
    """
    uuid = str(uuid5(NAMESPACE_URL, f"hitl/{name}"))
    return _PREFIX + uuid[9:14] + _VERSION + uuid[15:]


def is_own_annotation(unique_id: str | None) -> bool:
    """Whether an annotation with this unique_id was written by us.

    >>> [is_own_annotation(id) for id in (own_unique_id("x"), "7745cdff-e1ae-4291-8644-30a02232d4f7", None)]
    [True, False, False]
    """
    if unique_id is None or not unique_id.startswith(_PREFIX):
        return False
    try:
        return str(UUID(unique_id))[14] == _VERSION
    except ValueError:
        return False
