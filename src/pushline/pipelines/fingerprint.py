"""When a finished step may be used again: hashes of what went in, of the code, and of what came out."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec


def packages_hash() -> str:
    """Changes with the interpreter and with the version of anything installed.

    The names of the folders say both name and version; reading every package's metadata for it would take most of a second.
    """
    places = [Path(place) for place in sys.path if Path(place).is_dir()]
    installed = sorted({found.name for place in places for kind in ("*.dist-info", "*.egg-info") for found in place.glob(kind)})
    return hashlib.sha256("\n".join([sys.version, *installed]).encode()).hexdigest()


def fingerprint(parts: Mapping[str, object]) -> str:
    """One hash of everything that a step's outcome depends on."""
    return hashlib.sha256(msgspec.json.encode(dict(parts), order="deterministic")).hexdigest()
