"""The one page of the ML backend: what a person sees who opens its address in a browser."""

from __future__ import annotations

from string import Template

_HOME = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>label-studio-hitl</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222; }
code { background: #f2f2f2; padding: .1rem .3rem; border-radius: 3px; }
</style></head>
<body>
<h1>label-studio-hitl is up</h1>
<p>This is an ML backend for Label Studio: software talks to it, people work in Label Studio.</p>
<p>To connect a project, run <code>hitl connect PROJECT</code>, or in Label Studio open
Settings &gt; Model &gt; Connect Model and enter this page's address$login.</p>
<p>For programs: <code>GET /health</code>, <code>/metrics</code>, <code>/openapi.json</code>.</p>
</body></html>
""")


def home(*, has_login: bool) -> str:
    """The page at `/`; it tells no secrets and no project, because anybody may open it."""
    return _HOME.substitute(login=" with Basic authentication" if has_login else "")
