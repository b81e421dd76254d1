"""The two keys of an endpoint: read from a file that may be replaced while the service runs."""

import os
import secrets
from hmac import compare_digest
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError
from pushline.files import write_json

SHORTEST = 16
HANDED = "PUSHLINE_KEYS"  # for a container whose platform may mount secrets for root alone


class EndpointKeys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two keys of an endpoint, as `{"primary": "…", "secondary": "…"}` where they are kept. Their repr shows neither."""

    primary: str
    secondary: str

    def __repr__(self) -> str:
        return "EndpointKeys(primary=…, secondary=…)"


def new_key() -> str:
    """A key of 256 random bits that needs no quoting anywhere."""
    return secrets.token_urlsafe(32)


def make_keys(file: Path) -> EndpointKeys:
    """Two new keys in `file`, readable by its owner only."""
    keys = EndpointKeys(primary=new_key(), secondary=new_key())
    write_json(file, keys, mode=0o600)
    return keys


def read_or_make(file: Path) -> EndpointKeys:
    """The keys in `file`; made at the first call. The caller holds the lock of who owns them.

    Raises SettingsError where the file is not what it must be: a fresh pair would lock out every client without a word.
    """
    return read_keys(file) if file.exists() else make_keys(file)


def rotate(file: Path) -> EndpointKeys:
    """Make a fresh primary key; the one before becomes the secondary, and the secondary before ends.

    The file is replaced in one step and a service looks at it before it refuses a key, so a request with the fresh key, or
    with the primary one from before, is never refused. That one stays valid until the rotation after this.
    """
    keys = EndpointKeys(primary=new_key(), secondary=read_or_make(file).primary)
    write_json(file, keys, mode=0o600)
    return keys


def read_keys(file: Path) -> EndpointKeys:
    """The keys in `file`, or in the variable PUSHLINE_KEYS where that file can't be read. Raises SettingsError, which never quotes them."""
    state = None
    try:
        content = file.read_bytes()
        state = file.stat()
    except OSError as error:
        content = os.environ.get(HANDED, "").encode()
        if not content:
            raise SettingsError(
                f"The keys {file} can't be read.",
                why=f"The system says: {error.strerror}.",
                do="Name a file with --keys that holds a primary and a secondary key.",
            ) from error
    # A file that someone else provides (a mounted secret) has the rights its provider gave it.
    if state is not None and state.st_uid == os.geteuid() and state.st_mode & 0o077:
        raise SettingsError(
            f"Others can read the keys {file}.", why=f"Its mode is {state.st_mode & 0o777:04o}.", do=f"Run `chmod 600 {file}`."
        )
    try:
        keys = msgspec.json.decode(content, type=EndpointKeys)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SettingsError(
            f"The keys {file} can't be used.",
            why='The file is not {"primary": "…", "secondary": "…"}.',
            do="Rotate the keys, or restore the file.",
        ) from None  # the decoder's words could quote a key
    if any(len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key for key in (keys.primary, keys.secondary)):
        raise SettingsError(
            f"The keys {file} can't be used.",
            why=f"A key is shorter than {SHORTEST} characters, or holds one that no header can carry.",
            do="Rotate the keys, or restore the file.",
        )
    return keys


class KeyRing:
    """The keys a worker compares with. A replaced file is noticed at the next tick, or at once when a key is unknown."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.fault = ""
        self.refused = 0  # files that could not be used
        self.mark = self.mark_of_file()
        self.take(read_keys(file))

    def take(self, keys: EndpointKeys) -> None:
        self.primary = keys.primary.encode()
        self.secondary = keys.secondary.encode()

    def accepts(self, header: bytes) -> bool:
        """Whether the value of an Authorization header holds one of the keys; the time taken tells nothing about them."""
        scheme, _, key = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        return self.knows(key.strip()) or (self.refresh() and self.knows(key.strip()))

    def knows(self, key: bytes) -> bool:
        # Both are always compared.
        return compare_digest(key, self.primary) | compare_digest(key, self.secondary)

    def refresh(self) -> bool:
        """Read the file again where it was replaced; one that can't be used leaves the keys as they are."""
        mark = self.mark_of_file()
        if mark == self.mark:
            return False
        self.mark = mark
        try:
            self.take(read_keys(self.file))
        except SettingsError as error:
            self.fault = f"{error.what} {error.why}"
            self.refused += 1
            return False
        self.fault = ""
        return True

    def mark_of_file(self) -> tuple[int, int, int]:
        """What changes whenever the content, the rights or the owner of the file do."""
        try:
            state = self.file.stat()
        except OSError:
            return (0, 0, 0)
        return (state.st_ctime_ns, state.st_ino, state.st_size)
