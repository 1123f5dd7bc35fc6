"""One JSON POST to somebody outside: short, never following a redirect, never raising."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

_TIMEOUT_S = 5.0


def post(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """Send a body; gives why it did not arrive, "" where it did (any 2xx)."""
    try:
        answer = httpx.post(url, content=body, headers=dict(headers), timeout=_TIMEOUT_S, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "" if answer.is_success else f"it answered HTTP {answer.status_code}"
