"""The model versions of a registry beside what a target runs of them."""

from msgspec import Struct

from pushline.registry.store import CROWNED, ModelStore
from pushline.release.target import Target


class VersionRow(Struct, frozen=True, kw_only=True):
    """One model version, for people."""

    version: str
    made_at: str  # ISO 8601, UTC
    metric: str
    score: str  # of the hold-out; empty where none is known
    decision: str  # accepted, or why not
    state: str  # live, candidate, previous, or released where it was once; empty else
    git_revision: str
    data_version: str


def history_of(store: ModelStore, target: Target) -> tuple[VersionRow, ...]:
    """All versions, newest first."""
    found = target.status()
    states = {found.previous.model_version: "previous"} if found.previous else {}
    states |= {one.release.model_version: slot for slot, one in (("candidate", found.candidate), ("live", found.live)) if one}
    return tuple(
        VersionRow(
            version=one.version,
            made_at=one.made_at.isoformat(timespec="seconds"),
            metric=one.tags.get("metric", "").replace("_", " "),
            score=one.tags.get("score", ""),
            decision="accepted" if one.tags.get("accepted") == "true" else one.tags.get("reason", "") or "undecided",
            state=states.get(one.version, "released" if one.tags.get(CROWNED) else ""),
            git_revision=one.tags.get("git_revision", ""),
            data_version=one.tags.get("data_version", ""),
        )
        for one in store.versions()
    )


def table_of(rows: tuple[VersionRow, ...]) -> list[str]:
    """The versions as lines, a header first."""
    if not rows:
        return ["The registry holds no model version yet: `pushline run` makes one."]
    cells = [("version", "made", "state", "score", "decision")]
    for row in rows:
        made, score = row.made_at[:16].replace("T", " "), f"{row.metric} {float(row.score):.4f}" if row.score else ""
        cells.append((row.version, made, row.state or "-", score or "-", row.decision))
    widths = [max(len(line[place]) for line in cells) for place in range(4)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]) for line in cells]
