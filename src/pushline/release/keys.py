"""The endpoint's two keys in a file that only its owner reads: made once, rotated."""

from pathlib import Path

from pushline.files import write_json
from pushline.serving.keys import EndpointKeys, make_keys, new_key, read_keys


def read_or_make(file: Path) -> EndpointKeys:
    """The keys in `file`; made at the first call. The caller holds the target's lock.

    Raises SettingsError where the file is not what it must be: a fresh pair would lock out every client without a word.
    """
    return read_keys(file) if file.exists() else make_keys(file)


def rotate(file: Path) -> EndpointKeys:
    """Make a fresh primary key; the one before becomes the secondary, and the secondary before ends.

    The file is replaced in one step and a service looks at it before it refuses a key, so a request with the fresh key, or
    with the primary one from before, is never refused. That one stays valid until the rotation after this.
    """
    held = EndpointKeys(primary=new_key(), secondary=read_or_make(file).primary)
    write_json(file, held, mode=0o600)
    return held
