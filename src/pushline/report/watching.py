"""What `pushline watch` saw, as lines and as the text of an issue."""

from typing import TYPE_CHECKING

from pushline.report.figures import counted
from pushline.report.markdown import code, table, text

if TYPE_CHECKING:
    from pushline.watch import WatchResult


WITHOUT_KEYS = "Asked only what needs no key: this identity may not read them. Golden rows are scored by `pushline smoke` at each release."


NO_SERVICE = (
    "There is no live service to look after: on a machine of GitHub's a release of the target local ends with its job. "
    "Connect Azure (`pushline docs connect-azure`), or watch where the service runs: `pushline watch`."
)
NOT_LOOKED_AT = "Inputs were not looked at: they are recorded where the service runs. `pushline drift --logs` looks at them there."


def watched_title(watched: "WatchResult") -> str:
    said = [
        *([f"{watched.release} does not answer as it must"] if watched.health == "wrong" else []),
        *([f"A version was released, and nothing answers on {watched.target}"] if watched.health == "gone" else []),
        *([f"inputs have drifted in {counted(len(watched.drifted), 'column')}"] if watched.drift == "drift" else []),
    ]
    quiet = {
        "well": "The live release is well",
        "nothing released": "Nothing was released yet",
        "ended with its job": "No live service here",
    }
    return "; ".join(said) or quiet[watched.health]


def watched_summary(watched: "WatchResult") -> str:
    """Markdown for the issue and the job summary."""
    parts = [f"**{text(watched_title(watched))}**"]
    if watched.release:
        parts.append(f"{code(watched.release)} on {watched.target} at {text(watched.url or '')}: {watched.health}.")
    elif watched.health == "ended with its job":
        parts.append(NO_SERVICE)
    elif watched.health == "gone":
        parts.append("`pushline rollback`, or deliver.yml from deploy with a version, brings a release up again.")
    if watched.without_keys:
        parts.append(WITHOUT_KEYS)
    if watched.problem:
        parts.append(text(watched.problem))
    failed = [a for a in watched.assertions if not a.passed]
    if failed:
        parts.append(table(["assertion", "expected", "seen"], [[text(a.name), text(a.expected), text(a.seen)] for a in failed], figures=[]))
    inputs = f"Inputs: {watched.drift}, {counted(watched.recorded_rows, 'recorded row')}."
    parts.append(NOT_LOOKED_AT if watched.drift == "not looked at" else inputs)
    if watched.drifted:
        parts.append(
            "Drifted: "
            + ", ".join(code(name) for name in watched.drifted)
            + ". Drift promotes nothing: measure the model on new labelled rows "
            "with `pushline evaluate`, or add them with `pushline data add`; that proposes a challenger."
        )
    return "## watch\n\n" + "\n\n".join(parts) + "\n"
