"""The identities of all of one title's values, worked out from its facets without touching the store.

Because an identity covers everything a value depends on, "is it done?" is answered by looking for one file,
and a corrected subtitle moves the cues, the text vectors and what follows, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from mediafm.errors import LineageMismatchError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.tables import TABLES
from mediafm.types import Json

Producers = Mapping[str, Mapping[str, Json]]
"""For each table, all that its values depend on but the title."""


class TitleChain:
    """One title's identities, table by table.

    Args:
        title_id: the title.
        facets: its content hashes, one for each of `mediafm.lineage.tables.FACETS`.
        producers: what makes each table; the tables that it lacks have no identity.
    """

    def __init__(self, title_id: str, facets: Mapping[str, str], producers: Producers) -> None:
        self.title_id = title_id
        self._facets = facets
        self._producers = producers
        self._known: dict[str, Identity] = {}

    def identity(self, table: str) -> Identity:
        """What the title's value in `table` is called.

        Raises:
            LineageMismatchError: nothing is configured to make the table, or a facet is missing.
        """
        if table not in self._known:
            self._known[table] = self._derive(table)
        return self._known[table]

    def _derive(self, table: str) -> Identity:
        spec = TABLES[table]
        if table not in self._producers:
            raise LineageMismatchError(
                f"no producer for {table}", rule="a value needs something that makes it", where=self.title_id
            )
        missing = [name for name in spec.facets if name not in self._facets]
        if missing:
            raise LineageMismatchError(
                f"no facet {missing[0]!r}", rule=f"{table} is made from {', '.join(spec.facets)}", where=self.title_id
            )
        inputs = {name: self._facets[name] for name in spec.facets}
        inputs.update({name: self.identity(name).fingerprint for name in spec.parents_under(self._producers)})
        return Identity(table=table, title_id=self.title_id, producer=self._producers[table], inputs=inputs)
