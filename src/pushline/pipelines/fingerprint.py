"""When a finished step may be used again: hashes of what went in, of the code, and of what came out."""

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import distributions

import msgspec


def packages_hash() -> str:
    """Changes with the interpreter and with the version of anything installed."""
    installed = sorted({f"{found.name}=={found.version}" for found in distributions() if found.name})
    return hashlib.sha256("\n".join([sys.version, *installed]).encode()).hexdigest()


def fingerprint(parts: Mapping[str, object]) -> str:
    """One hash of everything that a step's outcome depends on."""
    return hashlib.sha256(msgspec.json.encode(dict(parts), order="deterministic")).hexdigest()
