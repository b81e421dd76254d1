"""`build/report.html`: everything the stages left, in one file that asks for nothing outside itself."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pushline.data.profile.drift import Drift
from pushline.files import read_json, write_atomically
from pushline.project import Project
from pushline.report import charts, classes, columns, figures, quantities, sources
from pushline.report.card import read_card
from pushline.report.cautions import Caution, cautions_of, evaluation_of
from pushline.report.states import StageState, states_of
from pushline.report.summary import fitted_on, replay_lines, slo_rows, trials
from pushline.report.svg import strip, stripe
from pushline.results import VOTE, Failure, Interval, LoadTestResult, RegisterResult, TrainResult, Trial

TEMPLATES = Path(__file__).parent / "templates"


def write_report(project: Project) -> Path:
    """Write the report of what `build/` holds and return its file."""
    file = project.build / "report.html"
    write_atomically(file, page_of(project).encode("utf-8", "replace"))
    return file


def page_of(project: Project) -> str:
    """The whole page. A part whose stage left nothing says so."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        figures=figures, charts=charts, quantities=quantities, visible=figures.visible, lower=figures.LOWER_IS_BETTER, vote=VOTE
    )
    environment.filters.update(prose=prose, linked=linked)
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "threshold.js"))
    of_style, of_script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    return environment.get_template("report.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own file, and its hash is what the policy admits
        script=Markup(script),  # noqa: S704 - as the style
        policy=f"default-src 'none'; style-src 'sha256-{of_style}'; script-src 'sha256-{of_script}'; img-src data:; base-uri 'none'; "
        "form-action 'none'",
        **gathered(project),
    )


def prose(text: str) -> Markup:
    """Foreign words in which `names` stand between backticks."""
    parts = figures.visible(text, 700).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def linked(url: str) -> Markup:
    """An address that can be pressed; anything else stays text."""
    plain = re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./-]*)?", url, re.ASCII)
    return Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(url) if plain else escape(figures.visible(url))


def gathered(project: Project) -> dict[str, Any]:
    """What the template speaks of."""
    states = states_of(project.build)
    by_name = {state.name: state for state in states}
    cautions = cautions_of(states, project.build)
    results = {name.replace("-", "_"): state.result for name, state in by_name.items()}
    trained, registered = results["train"], results["register"]
    profile = columns.profile_of(project)
    known = evaluation_of(trained, project.build) if isinstance(trained, TrainResult) else None
    return {
        "states": states,
        "state": by_name,
        "sections": sections(by_name),
        "cautions": cautions,
        "verdict": verdict_of(states, cautions),
        "generated": any(getattr(state.result, "generated_sample", False) for state in states),
        "name": name_of(states),
        "made_at": figures.moment(datetime.now(UTC)),
        "timeline": timeline(states),
        "known": known,
        "card": read_card(trained.card, project.build) if isinstance(trained, TrainResult) else None,
        "fitted_on": fitted_on(trained) if isinstance(trained, TrainResult) else "",
        "trials": trials(trained) if isinstance(trained, TrainResult) else "",
        "board": leaderboard(trained) if isinstance(trained, TrainResult) else [],
        "group_keys": list(dict.fromkeys(key for group in known.groups for key in group.metrics)) if known else [],
        "by_class": classes.rows_of(known) if known else [],
        "profile": profile,
        "largest": columns.lines_of(profile) if profile else [],
        "spreads": columns.spreads_of(profile, known) if profile else [],
        "drift": drift_of(project.build),
        "proof": figures.evidence_rows(registered) if isinstance(registered, RegisterResult) else [],
        "replayed": replay_lines(registered.replay) if isinstance(registered, RegisterResult) and registered.replay else [],
        "gain": gain_of(registered) if isinstance(registered, RegisterResult) else None,
        "slo": slo_rows(results["load_test"]) if isinstance(results["load_test"], LoadTestResult) else [],
        "sources": sources.of(project, states),
        **results,
    }


def drift_of(build: Path) -> Drift | None:
    """What `pushline drift` saw last, where it was asked."""
    return read_json(build / "drift" / "result.json", Drift)


def sections(by_name: dict[str, StageState]) -> list[tuple[str, str, str]]:
    """The page's contents: anchor, heading, and the state of the stage it rests on."""
    rests_on = (
        ("data", "Data", "check-data"),
        ("columns", "What the columns hold", "check-data"),
        ("search", "Search", "train"),
        ("quality", "Quality", "train"),
        ("groups", "What the model leans on", "train"),
        ("champion", "Champion", "register"),
        ("smoke", "Smoke", "smoke"),
        ("load", "Load", "load-test"),
        ("card", "Model card", "train"),
        ("sources", "Sources", "fetch"),
    )
    return [(anchor, heading, by_name[stage].state) for anchor, heading, stage in rests_on]


def verdict_of(states: tuple[StageState, ...], cautions: tuple[Caution, ...] = ()) -> tuple[str, str, str]:
    """The page in one sentence: its tone (good, warn, bad, quiet), the sentence and the reason."""
    stopped = next((state for state in states if state.state in ("refused", "failed", "interrupted")), None)
    last = states[-1]
    if stopped is not None:
        why = told(stopped.failure) if stopped.failure else stopped.figure
        if isinstance(stopped.result, RegisterResult):
            why = stopped.result.decision.reason
            return "warn", f"Not released: version {stopped.result.version} is not accepted", why
        word = {"refused": "Stopped at", "failed": "Failed at", "interrupted": "Interrupted at"}[stopped.state]
        return ("warn" if stopped.state == "refused" else "bad"), f"{word} {stopped.name}", why
    if last.state == "done" and last.result is not None:
        release = getattr(last.result, "release", None)
        version = f"Version {release.model_version}" if release else "The release"
        return ("warn" if cautions else "good"), f"{version} is live", last.figure
    reached = [state.name for state in states if state.state == "done"]
    return "quiet", f"Not released: {reached[-1]} is the last stage that ran" if reached else "Nothing has run yet", ""


def told(failure: Failure) -> str:
    return " ".join(part for part in (failure.what, failure.why, failure.do) if part)


def name_of(states: tuple[StageState, ...]) -> str:
    """The model's name, as far as a stage knew it."""
    for state in reversed(states):
        release = getattr(state.result, "release", None)
        name = getattr(state.result, "model_name", None) or getattr(release, "model_name", None)
        if name:
            return str(name)
    return ""


def timeline(states: tuple[StageState, ...]) -> dict[str, Markup]:
    """A bar per stage on one time axis; what took no time is still seen."""
    total = sum(state.elapsed_s or 0 for state in states) or 1.0
    bars, start = {}, 0.0
    for state in states:
        length = (state.elapsed_s or 0) / total
        shown = max(length, 0.006) if state.elapsed_s is not None else 0.0
        begin = min(start, 1 - shown)
        kind = f"state-{state.state.replace(' ', '-')}"
        bars[state.name] = strip(stripe(0, 1, "track", y=6, height=2), stripe(begin, begin + shown, kind), words=state.words)
        start += length
    return bars


def leaderboard(trained: TrainResult) -> list[tuple[Trial, Markup | None]]:
    """Trials in their order, best first, each with its place between the worst score (left) and the best."""
    scored = [trial.score for trial in trained.leaderboard if trial.score is not None]
    best, worst = (scored[0], scored[-1]) if scored else (1.0, 0.0)
    reach = (best - worst) or 1.0
    places = [
        None if t.score is None else dot_strip((t.score - worst) / reach if best != worst else 1.0, figures.decimal(t.score))
        for t in trained.leaderboard
    ]
    return list(zip(trained.leaderboard, places, strict=True))


def dot_strip(at: float, words: str) -> Markup:
    held = min(max(at, 0.0), 1.0)
    return strip(stripe(0, 1, "track", y=6, height=2), stripe(held * 0.97, held * 0.97 + 0.03), words=words)


def gain_of(registered: RegisterResult) -> Interval | None:
    """The challenger's gain over the champion with its interval, where there was one to meet."""
    found = [registered.decision.evidence.get(key) for key in ("gain", "gain_low", "gain_high")]
    numbers = [float(value) for value in found if isinstance(value, int | float)]
    return Interval(value=numbers[0], low=numbers[1], high=numbers[2]) if len(numbers) == 3 else None
