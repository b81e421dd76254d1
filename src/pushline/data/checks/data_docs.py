"""Great Expectations' own Data Docs of a suite: pages for people who know them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.data.checks.check import ROW, Check
from pushline.data.checks.findings import MOST_LINES

if TYPE_CHECKING:
    from pushline.data.checks.validate import Validation

SITE = "pushline"


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
