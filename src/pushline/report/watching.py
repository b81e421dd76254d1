"""What `pushline watch` saw, as lines and as the text of an issue."""

from typing import TYPE_CHECKING

from pushline.report.figures import counted
from pushline.report.markdown import code, table, text
from pushline.report.performance import performance_summary, title_of

if TYPE_CHECKING:
    from pushline.watch import Cause, WatchResult


WITHOUT_KEYS = "Asked only what needs no key: this identity may not read them. Golden rows are scored by `pushline smoke` at each release."


NO_SERVICE = (
    "There is no live service to look after: on a machine of GitHub's a release of the target local ends with its job. "
    "Connect Azure (`pushline docs connect-azure`), or watch where the service runs: `pushline watch`."
)
NOT_LOOKED_AT = "Inputs were not looked at: they are recorded where the service runs. `pushline drift --logs` looks at them there."


LOG = {
    "kept": "The prediction log is written.",
    "ended": "The service answers, and nothing of it is written to the prediction log: look at the disk, then `pushline start`.",
    "unreadable": "The prediction log can't be read: whoever watches needs the right to read .pushline/logs/live-scored.",
    "off": "Whether the prediction log is written was not tried: the setting serving.record keeps none of the requests, or too few.",
    "not looked at": "",
}


def watched_titles(watched: "WatchResult") -> "dict[Cause, str]":
    """What is wrong for each cause, or what it is about."""
    gone = f"A version was released, and nothing answers on {watched.target}"
    moved = f"Inputs have drifted in {counted(len(watched.drifted), 'column')}"
    return {
        "release": gone if watched.health == "gone" else f"{watched.release} does not answer as it must",
        "log": "The prediction log can't be read" if watched.log == "unreadable" else "The prediction log has ended",
        "inputs": moved,
        "performance": title_of(watched.performance) if watched.performance else "Performance",
    }


def watched_title(watched: "WatchResult") -> str:
    quiet = {
        "well": "The live release is well",
        "nothing released": "Nothing was released yet",
        "ended with its job": "No live service here",
    }
    titles = watched_titles(watched)
    return "; ".join(titles[cause] for cause in watched.wrong) or quiet[watched.health]


def watched_summary(watched: "WatchResult") -> str:
    """Markdown for the issues and the job summary."""
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
    parts += [LOG[watched.log]] if LOG[watched.log] else []
    inputs = f"Inputs: {watched.drift}, {counted(watched.recorded_rows, 'recorded row')}."
    parts.append(NOT_LOOKED_AT if watched.drift == "not looked at" else inputs)
    if watched.drifted:
        parts.append(
            "Drifted: "
            + ", ".join(code(name) for name in watched.drifted)
            + ". Drift promotes nothing: measure the model on new labelled rows "
            "with `pushline evaluate`, or add them with `pushline data add`; that proposes a challenger."
        )
    parts += [f"Performance can't be told: {text(watched.untold)}"] if watched.untold else []
    said = performance_summary(watched.performance) if watched.performance else ""
    return "## watch\n\n" + "\n\n".join(parts) + "\n" + said
