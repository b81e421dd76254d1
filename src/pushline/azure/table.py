"""The checked table as a versioned data asset: uploaded once per data version, never twice."""

import os
import shutil
import tempfile
from pathlib import Path

from pushline.azure.cloud import Cloud, quietly
from pushline.azure.failures import asking
from pushline.progress import Progress

TABLE = "table.parquet"
MLTABLE = f"""type: mltable
paths:
  - file: ./{TABLE}
transformations:
  - read_parquet
"""


def data_asset(cloud: Cloud, name: str, version: str, table: Path, progress: Progress) -> str:
    """`azureml:name:version` of the table (Parquet, or a folder that holds it)."""
    from azure.core.exceptions import ResourceNotFoundError

    with quietly():
        from azure.ai.ml.entities import Data
    with asking(f"looking for the data asset {name} {version}"), quietly():
        try:
            cloud.ml.data.get(name, version)
            return f"azureml:{name}:{version}"
        except ResourceNotFoundError:
            pass
    progress(f"Uploading the table as data asset {name}, version {version}.")
    with tempfile.TemporaryDirectory() as folder, asking(f"uploading the data asset {name} {version}"):
        place = Path(folder) / name
        place.mkdir()
        linked(table / TABLE if table.is_dir() else table, place / TABLE)
        (place / "MLTable").write_text(MLTABLE, encoding="utf-8")
        asset = Data(name=name, version=version, type="mltable", path=str(place), description="The checked table of one data version")
        with quietly():
            cloud.ml.data.create_or_update(asset)
    return f"azureml:{name}:{version}"


def linked(source: Path, to: Path) -> None:
    """The same file under another name, without a copy where the file system can."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)
