"""The tables of the pages: who is signed in, and which addresses have guessed wrong."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, String, Table, Text

from feedback.store.tables.main_tables import metadata

session = Table(
    "session",
    metadata,
    Column("digest", String, primary_key=True),  # sha256 of what the browser holds: a stolen store opens no page
    Column("person", BigInteger, nullable=False),  # Label Studio's user id
    Column("email", Text, nullable=False),
    Column("owner", Boolean, nullable=False),  # whether it is the user whose token the service has
    Column("began_s", Float, nullable=False),
    Column("seen_s", Float, nullable=False),
)
login_attempt = Table(
    "login_attempt",
    metadata,
    Column("scope", String, primary_key=True),  # what was knocked at: "service" or "pages"
    Column("address", String, primary_key=True),
    Column("restored_s", Float, nullable=False),  # when the address has all its tries back
)
