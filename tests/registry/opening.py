"""Open a new registry in the working folder and list what it has, as a process of its own."""

import sys
from pathlib import Path

from pushline.registry.mlflow_store import MlflowStore

if __name__ == "__main__":
    place = Path.cwd()
    store = MlflowStore(f"sqlite:///{place}/mlflow.db", "shops", artifacts=place / "a", downloads=place)
    store.open()
    sys.stdout.write(f"{store.versions()}\n")
