"""The indicators: values that people recorded about entities, each with the time of the answer and of its receipt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, and_, select

from feedback.store.database.engine import stream
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.records import RecordsRepository
from feedback.store.repositories.repository import Repository
from feedback.store.tables.review_tables import review
from feedback.store.tables.routing_tables import IndicatorValue, indicator, indicator_head

_INDICATORS = RowMapper(IndicatorValue, indicator)


class IndicatorsRepository(Repository):
    """The indicator values of each project."""

    def list_indicators(self, project: str, *, entities: Collection[str] | None = None) -> list[IndicatorValue]:
        """Return all indicator values that count, of some entities or of all, in no particular order."""
        query = select(indicator).where(indicator.c.project == project, indicator.c.counted)
        if entities is not None:
            return [_INDICATORS.from_row(row) for row in self._list_rows_in(query, indicator.c.entity, entities)]
        with self._database.read() as connection:
            return [_INDICATORS.from_row(row) for row in stream(connection, query)]

    def list_indicators_of_annotations(
        self, project: str, origin: str, annotations: Collection[int]
    ) -> list[IndicatorValue]:
        """Return all values from these annotations, counted or not."""
        table = indicator.c
        query = select(indicator).where(table.project == project, table.origin == origin)
        return [_INDICATORS.from_row(row) for row in self._list_rows_in(query, table.annotation, annotations)]

    def save_indicators(
        self, project: str, facts: Sequence[IndicatorValue], heads: Mapping[str, int], *, questions: str
    ) -> None:
        """Store indicator values, and how far each log was read for them; repetition changes nothing."""
        rows = [_INDICATORS.to_values(value, project=project) for value in facts]
        read = [
            {"project": project, "origin": origin, "seq": seq, "questions": questions} for origin, seq in heads.items()
        ]
        with self._database.write() as connection:
            self._database.upsert(connection, indicator, rows)
            self._database.upsert(connection, indicator_head, read)
            if rows:
                self._mark_changed(project)

    def get_read_positions(self, project: str, *, questions: str) -> dict[str, int]:
        """Return how far each log was read for these questions; {} where others were asked, whose facts are dropped."""
        table = indicator_head.c
        rows = self._list_rows(select(indicator_head).where(table.project == project))
        if any(row.questions != questions for row in rows):
            with self._database.write() as connection:
                delete_indicators(connection, project)
                self._mark_changed(project)
            return {}
        return {row.origin: row.seq for row in rows}

    def update_counted_indicators(self, project: str, refused: Collection[int]) -> int:
        """Count each value exactly if its answer counts; return how many annotations changed.

        `refused` are annotations of the source project that do not count; in review projects the review
        decides, and a value without a review does not count yet.
        """
        table, look = indicator.c, review.c
        query = (
            select(table.origin, table.annotation, table.counted, look.counted.label("looked"))
            .outerjoin_from(
                indicator, review, and_(look.review_project == table.origin, look.annotation == table.annotation)
            )
            .where(table.project == project)
            .distinct()
        )
        rows = self._list_rows(query)
        changed: dict[bool, set[tuple[str, int]]] = {True: set(), False: set()}
        for row in rows:
            should = row.annotation not in refused if row.origin == project else bool(row.looked)
            if row.counted != should:
                changed[should].add((row.origin, row.annotation))
        if not any(changed.values()):
            return 0
        with self._database.write() as connection:
            for should, which in changed.items():
                for origin, annotation in which:
                    condition = (table.project == project, table.origin == origin, table.annotation == annotation)
                    connection.execute(indicator.update().where(*condition).values(counted=should))
            self._mark_changed(project)
        return sum(map(len, changed.values()))

    def _mark_changed(self, project: str) -> None:
        RecordsRepository(self._database).create_record(project, "indicators", {})  # caches read the values again


def delete_indicators(connection: Connection, project: str) -> None:
    """Forget all facts of a project: the next turn reads them from the logs again."""
    for table in (indicator, indicator_head):
        connection.execute(table.delete().where(table.c.project == project))
