"""How a search is asked to end with the best model so far: by a file, of which its processes know through a variable."""

import os
from pathlib import Path

STOP_FILE = "AUTOML_STOP_FILE"  # names the file whose appearance ends the search


def asked_to_stop() -> bool:
    """Whether whoever started the search wants it to end with the best so far."""
    file = os.environ.get(STOP_FILE)
    return file is not None and Path(file).exists()
