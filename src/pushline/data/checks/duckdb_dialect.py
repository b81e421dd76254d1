"""DuckDB for Great Expectations: duckdb-engine's dialect with what checks need, and without what breaks them.

Great Expectations fetches a result after its `with` block has ended. SQLAlchemy has rolled back by then, and with DuckDB
the pending result is gone. Checks only read, so there is no transaction to begin or end. And duckdb-engine reflects tables
through a PostgreSQL catalogue that DuckDB does not have.
"""

from typing import Any

import duckdb_engine
import sqlalchemy as sa
from sqlalchemy.dialects import registry

NAME = "pushlineduckdb"
TYPES = {"BIGINT": sa.BIGINT, "DOUBLE": sa.DOUBLE, "BOOLEAN": sa.BOOLEAN, "VARCHAR": sa.VARCHAR}


class Dialect(duckdb_engine.Dialect):  # type: ignore[misc]  # duckdb-engine has no types
    """Reads only; knows the types of the typed table."""

    name = "duckdb"
    supports_statement_cache = False

    def do_begin(self, dbapi_connection: Any) -> None:
        """Nothing: see above."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Nothing: see above."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing: see above."""

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **options: Any) -> list[dict[str, Any]]:
        found = connection.exec_driver_sql("SELECT name, type FROM pragma_table_info(?)", (table_name,))
        return [{"name": name, "type": TYPES.get(kind, sa.VARCHAR)(), "nullable": True, "default": None} for name, kind in found]

    def get_pk_constraint(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"constrained_columns": [], "name": None}


registry.register(NAME, __name__, "Dialect")
