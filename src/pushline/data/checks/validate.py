"""Great Expectations on DuckDB: first the verdict of the whole suite, then the detail of what failed.

Its own Data Docs of a suite, pages for people who know them, are written here too.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushline.data.checks.findings import MOST_LINES
from pushline.data.checks.suite import ROW, Check, Detail
from pushline.data.files.table import database, literal
from pushline.errors import TargetError

MEMORY = "300MB"
SITE = "pushline"


def great_expectations() -> Any:
    """The package, imported once and quietly: it takes seconds, and its dependencies warn about one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations
        import great_expectations.expectations

        from pushline.data.checks import duckdb_dialect  # noqa: F401  registers itself
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return great_expectations


class Validation:
    """The typed table as a batch of Great Expectations, in an ephemeral context that leaves nothing behind."""

    def __init__(self, table: Path, scratch: Path) -> None:
        self.gx = great_expectations()
        self.context = quiet_context(self.gx)
        file = scratch / "checks.duckdb"
        file.unlink(missing_ok=True)
        import duckdb

        with duckdb.connect(str(file)) as connection:
            connection.execute(
                f"CREATE VIEW data AS SELECT * EXCLUDE (file_row_number), file_row_number AS {ROW} "
                f"FROM read_parquet({literal(str(table))}, file_row_number=true)"
            )
        options = f"memory_limit={MEMORY}&threads=2&temp_directory={scratch / 'spill'}"
        options += "&autoinstall_known_extensions=false&autoload_known_extensions=false"
        self.source = self.context.data_sources.add_sql("table", connection_string=f"pushlineduckdb:///{file}?{options}")
        self.definition = self.source.add_table_asset("data", table_name="data").add_batch_definition_whole_table("all rows")

    def close(self) -> None:
        self.source.get_engine().dispose()

    def suite(self, name: str, checks: Sequence[Check]) -> Any:
        """The expectations, each with the position of its check in its notes."""
        made = [
            getattr(self.gx.expectations, check.expectation)(
                **check.options, severity=check.severity, meta={"check": position, "id": check.id}
            )
            for position, check in enumerate(checks)
        ]
        return self.gx.ExpectationSuite(name, expectations=made)

    def failed(self, checks: Sequence[Check]) -> list[tuple[Check, Detail]]:
        """The checks that do not hold, with what was seen.

        Raises TargetError where an expectation could not be evaluated: that is no verdict.
        """
        batch = self.definition.get_batch()
        verdict = batch.validate(self.suite("contract", checks), result_format="BOOLEAN_ONLY")
        wrong = [checks[position_of(result)] for result in verdict.results if not result.success]
        raise_exceptions(verdict.results, checks)
        found: list[tuple[Check, Detail]] = []
        for queries, level in ((False, "SUMMARY"), (True, "COMPLETE")):
            some = [check for check in wrong if check.is_query is queries]
            if some:
                form = {"result_format": level, "unexpected_index_column_names": [ROW], "partial_unexpected_count": MOST_LINES}
                results = batch.validate(self.suite(f"failed {level}", some), result_format=form).results
                raise_exceptions(results, some)
                found += [(some[position_of(result)], detail_of(result)) for result in results]
        return found


def quiet_context(gx: Any) -> Any:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def position_of(result: Any) -> int:
    return int(result.expectation_config.meta["check"])


def detail_of(result: Any) -> Detail:
    """The result of a column's expectation, or the row of figures of a query's."""
    detail = dict(result.result)
    rows = detail.get("details", {}).get("unexpected_rows")
    return dict(rows[0]) if rows else detail


def raise_exceptions(results: Sequence[Any], checks: Sequence[Check]) -> None:
    for result in results:
        said = result.exception_info or {}
        if "raised_exception" not in said:  # one entry per metric
            said = next((entry for entry in said.values() if isinstance(entry, dict) and entry.get("raised_exception")), {})
        if said.get("raised_exception"):
            check = checks[position_of(result)]
            raise TargetError(
                f"The check {check.id}{f' on {check.column}' if check.column else ''} could not be evaluated.",
                why=str(said.get("exception_message", "")).splitlines()[0][:300],
                do="Correct the rule if it is one of data_checks/rules.py; otherwise this is a fault of Pushline: please report it.",
            )


def rows_of_duplicates(table: Path, scratch: Path) -> tuple[int, ...]:
    """The first rows that repeat an earlier one; none where finding them takes more memory than there is."""
    import duckdb

    relation = f"read_parquet({literal(str(table))}, file_row_number=true)"
    with database(scratch, MEMORY) as connection:
        try:
            found = connection.execute(
                f"WITH hashed AS (SELECT hash(*COLUMNS(* EXCLUDE (file_row_number))) AS digest, file_row_number AS row FROM {relation}), "
                f"groups AS (SELECT digest, min(row) AS first FROM hashed GROUP BY digest HAVING count(*) > 1) "
                f"SELECT row FROM hashed JOIN groups USING (digest) WHERE row > first ORDER BY row LIMIT {MOST_LINES}"
            ).fetchall()
        except duckdb.OutOfMemoryException:
            return ()
    return tuple(int(row) for (row,) in found)


def write_data_docs(validation: "Validation", checks: Sequence[Check], name: str, folder: Path) -> None:
    """Evaluate the whole suite once more with its figures and write the pages into `folder`.

    The pages fetch their styles from a public address; their text reads without.
    """
    from great_expectations.checkpoint import UpdateDataDocsAction

    gx, context = validation.gx, validation.context
    context.add_data_docs_site(
        site_name=SITE,
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        },
    )
    suite = context.suites.add(validation.suite(name, checks))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=validation.definition, suite=suite))
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[definition],
        actions=[UpdateDataDocsAction(name="pages", site_names=[SITE])],
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [ROW], "partial_unexpected_count": MOST_LINES},
    )
    context.checkpoints.add(checkpoint).run()
