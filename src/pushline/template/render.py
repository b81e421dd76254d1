"""The whole repository for a record of answers, as nobody has touched it yet."""

import msgspec

from pushline.engine import FOLDER
from pushline.template import source
from pushline.template.answers import PLACE, Engine, Record, RecordedDraft, record_bytes
from pushline.template.manifest import LOCKS, OWN, SHARED, TABLE
from pushline.template.wheel import Wheel


def render(record: Record, wheel: Wheel | None = None) -> dict[str, bytes]:
    """Each file by its path, for the engine in `wheel`, or without one for the engine that the record names and without its wheel.

    Of an adopted table the profile, the example request and the table itself are not among them: they are made from its rows.
    """
    engine = msgspec.structs.replace(record.engine, version=wheel.version, sha256=wheel.sha256) if wheel else record.engine
    record = msgspec.structs.replace(record, engine=engine)
    draft = record.answers.draft
    files = {path: source.shared(path) for path in SHARED}
    files |= {path: source.shared(path) for path in TABLE} if draft is None else table_of(draft)
    for path in files:
        if path.startswith("pipelines/components/"):
            files[path] = files[path].replace(b"code: ../../src", f"code: ../../{FOLDER}".encode())
    words = words_of(record, files["data_checks/contract.yml"])
    files |= {path: with_words(source.own(name), words) + files.get(path, b"") for path, name in OWN.items()}
    if draft is not None:
        files |= adapted(draft, files)
    files |= {path: with_engine(source.shared(locked).decode(), engine).encode() for path, locked in LOCKS.items()}
    if wheel and engine.source == "vendor":
        files[f"vendor/{wheel.name}"] = wheel.content
    files[PLACE] = record_bytes(record)
    return dict(sorted(files.items()))


def table_of(draft: RecordedDraft) -> dict[str, bytes]:
    """What describes an adopted table, as far as its rows are not needed for it."""
    from pushline.adopt.contract_file import RULES, contract_text
    from pushline.data.sources.lock import DataLock, lock_text

    return {
        "data.lock": lock_text(DataLock(files=(draft.pinned,))).encode(),
        "data_checks/contract.yml": contract_text(draft.contract, draft.suspects).encode(),
        "data_checks/rules.py": RULES.encode(),
    }


def adapted(draft: RecordedDraft, files: dict[str, bytes]) -> dict[str, bytes]:
    """The settings and the pipelines of an adopted table."""
    from pushline.adopt.settings import with_label, with_settings

    made = {"pyproject.toml": with_settings(files["pyproject.toml"].decode(), draft.settings, draft.comments)}
    for path, content in files.items():
        if path.startswith("pipelines/") and path.count("/") == 1:
            made[path] = with_label(content.decode(), draft.contract, draft.settings)
    return {path: text.encode() for path, text in made.items()}


def words_of(record: Record, contract: bytes) -> dict[str, str]:
    """What the texts say of this repository."""
    from pushline.data.contract.contract import parse_contract

    said = parse_contract(msgspec.yaml.decode(contract))
    what = f"`{said.label.name}`" + (f" = `{said.positive}`" if said.positive else "")
    otherwise = " --sample-if-offline" if record.answers.table == "machine" else ""  # a runner can't have that table
    return {
        "otherwise": otherwise,
        "name": said.name,
        "title": said.title,
        "description": said.description,
        "predicted": what,
        "engine": record.engine.version,
    }


def with_words(text: str, words: dict[str, str]) -> bytes:
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text.encode()


def with_engine(lock: str, engine: Engine) -> str:
    """The lock with the engine's wheel in its place by name."""
    lines = lock.splitlines(keepends=True)
    place = next((at for at, line in enumerate(lines) if line[:1].isalpha() and line >= "pushline"), len(lines))
    return "".join([*lines[:place], f"pushline=={engine.version} \\\n    --hash=sha256:{engine.sha256}\n", *lines[place:]])
