"""What a web worker does once, after its app is made and before its first request."""

from __future__ import annotations

import gc

from flask import Flask

_YOUNG = 20_000  # new containers before a look for garbage; a body of 1,000 tasks makes 5,000 that are no garbage yet


def settle(app: Flask) -> Flask:
    """Tell the garbage collector that what stands now stays: it then looks only through what requests make.

    Without it a full collection walks half a million objects of imported libraries, some 50 ms, in somebody's request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
    return app
