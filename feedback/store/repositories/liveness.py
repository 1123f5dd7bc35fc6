"""Signs of life: the heartbeats of workers, and projects whose webhooks do not arrive."""

from __future__ import annotations

from sqlalchemy import select

from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables.main_tables import Heartbeat, WebhookArrival, heartbeat, webhook_arrival

_KEPT_S = 3600.0
_HEARTBEATS, _ARRIVALS = RowMapper(Heartbeat, heartbeat), RowMapper(WebhookArrival, webhook_arrival)


class LivenessRepository(Repository):
    """Heartbeats of workers, and the arrival of webhooks."""

    def save_heartbeat(self, row: Heartbeat) -> None:
        """Store what a worker says about itself; forget the workers that have said nothing for an hour."""
        with self._database.write() as connection:
            connection.execute(heartbeat.delete().where(heartbeat.c.beat_s < row.beat_s - _KEPT_S))
            self._database.upsert(connection, heartbeat, [_HEARTBEATS.to_values(row)])

    def delete_heartbeat(self, worker: str) -> None:
        """Forget a worker that has stopped."""
        with self._database.write() as connection:
            connection.execute(heartbeat.delete().where(heartbeat.c.worker == worker))

    def list_heartbeats(self) -> list[Heartbeat]:
        """Return the workers that have not stopped by themselves, the one that wrote last first."""
        return [_HEARTBEATS.from_row(row) for row in self._list_rows(select(heartbeat).order_by(-heartbeat.c.beat_s))]

    def record_polled_answers(self, project: str, count: int, *, began_s: float) -> None:
        """Count answers that a poll found and of which no webhook had told; the next webhook sets the count to 0.

        Nothing is counted where a webhook came since the poll began: it may have told of them.
        """
        table = webhook_arrival.c
        with self._database.write() as connection:
            new = WebhookArrival(project, 0.0, 0.0, 0)
            self._database.add(connection, webhook_arrival, [_ARRIVALS.to_values(new)])
            changed = webhook_arrival.update().where(table.project == project, table.arrived_s < began_s)
            connection.execute(changed.values(polled=table.polled + count, polled_s=began_s))

    def list_webhook_arrivals(self) -> list[WebhookArrival]:
        """Return when the last webhook of each project came, and what polls have found since."""
        query = select(webhook_arrival).order_by(webhook_arrival.c.project)
        return [_ARRIVALS.from_row(row) for row in self._list_rows(query)]
