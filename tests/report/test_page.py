"""The report as a file: what it says, what it leaves out, and that foreign text stays text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushline.evaluation import ClassCurves, Evaluation, Suspect
from pushline.files import write_json
from pushline.project import Project
from pushline.report.page import page_of, write_report
from pushline.report.summary import summary_of
from pushline.results import KINDS, VOTE, Failure, Part, RegisterResult, Result, TrainResult, Trial, save
from report.delivery_made import URL, evaluation, leave_everything, of_many_classes, of_many_columns, results

HOSTILE = "</td></style><script>alert(1)</script><img src=http://x.invalid/y onerror=alert(1)>\"'{{7*7}}\x1b[31m\u202e"


WHOLE = (
    "Version 3 is live", "Class balance", "More unknown values than tolerated.", "vote of lightgbm, xgboost, catboost", "0.422 to 0.519",
    "Precision and recall", "ROC", "Calibration", "Confusion matrix", "Gain", "Lift", "Per group", "basket", "Challenger and champion",
    "golden rows", "p99 promised: 250 ms", "Rank customers before a call.", "0f3a99d1b2c4e5f6",
)  # fmt: skip


class Seen(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem != "script":
            self.text += data


@pytest.fixture
def built(tmp_path: Path) -> Project:
    leave_everything(tmp_path / "build")
    return Project(tmp_path)


def test_a_whole_delivery_is_told_from_the_verdict_to_the_sources(built: Project) -> None:
    html = write_report(built).read_text()
    seen = Seen(html)
    for words in WHOLE:
        assert words in seen.text, words


def test_a_page_of_nothing_says_of_every_stage_that_it_did_not_run(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    text = Seen(page_of(Project(tmp_path))).text
    assert "Nothing has run yet" in text
    assert text.count("not run") >= len(KINDS)
    assert "kept" not in text
    assert "accepted" not in text


@pytest.mark.parametrize("missing", list(KINDS))
def test_a_stage_that_did_not_run_is_never_shown_as_fine(built: Project, missing: str) -> None:
    (built.build / missing / "result.json").unlink()
    html = page_of(built)
    row = html.split(f"</span>{missing}</th>")[1].split("</tr>")[0]
    assert "<b>not run</b>" in row
    if missing == "promote":
        assert "is live" not in Seen(html).text


def test_a_failed_stage_tells_what_why_and_what_to_do(built: Project) -> None:
    for name in ("train", "register", "deploy", "smoke", "load-test", "promote"):
        (built.build / name / "result.json").unlink()
    failure = Failure(stage="train", what="train stopped: the step automl failed.", why="No memory was left.", do="Lower it.", exit_code=4)
    write_json(built.build / "train" / "failure.json", failure)
    text = Seen(page_of(built)).text
    assert "Failed at train" in text
    assert "No memory was left." in text
    assert "Lower it." in text


def test_a_version_that_is_not_accepted_is_the_headline(tmp_path: Path) -> None:
    for result in results(tmp_path / "build", accept=False)[:4]:
        save(tmp_path / "build", result)
    text = Seen(page_of(Project(tmp_path))).text
    assert "Not released: version 3 is not accepted" in text
    assert "deploy: not run." not in text  # it has no section of its own
    assert "smoke: not run." in text


def test_evidence_older_than_what_comes_before_it_is_called_stale(built: Project) -> None:
    again = next(r for r in results(built.build) if isinstance(r, RegisterResult))
    save(built.build, msgspec.structs.replace(again, made_at=again.made_at.replace(year=2027)))
    html = page_of(built)
    assert "smoke: stale." in Seen(html).text
    assert "Version 3 is live" not in html


def test_a_generated_sample_is_a_banner(tmp_path: Path) -> None:
    leave_everything(tmp_path / "build", generated=True)
    assert "Generated sample." in page_of(Project(tmp_path))
    leave_everything(tmp_path / "build")
    assert "Generated sample." not in page_of(Project(tmp_path))


def hostile(value: Any) -> Any:
    """The same value with every free text in it replaced."""
    if isinstance(value, Result | Part | Evaluation):
        fixed = {"severity", "state", "metric", "stage", "evaluation", "card", "objective", "pushline"}
        changed = {n: getattr(value, n) if n in fixed else hostile(getattr(value, n)) for n in value.__struct_fields__}
        return type(value)(**changed)
    if isinstance(value, dict):
        return {name if name in KEPT else hostile(name): hostile(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    return HOSTILE if isinstance(value, str) else value


KEPT = {"average_precision", "metric", "gain", "gain_low", "gain_high", "p95_ms", "p99_ms", "failures", "achieved"}


def test_foreign_text_stays_text_everywhere(tmp_path: Path) -> None:
    build = tmp_path / "build"
    for result in results(build):
        save(build, hostile(result))
    write_json(build / "train" / "evaluation.json", hostile(evaluation()))
    (build / "train" / "card.md").write_text(f"# {HOSTILE}\n\n![x](http://x.invalid/p)\n\n[y](javascript:alert(1))\n\n<b>raw</b>\n")
    html = page_of(Project(tmp_path))
    seen = Seen(html)
    assert seen.tags.count("script") == 1, "our own, which the policy names by its hash"
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "style")]
    links = [value for name, value in seen.attributes if name in ("href", "xlink:href") and not value.startswith(("#", "data:,"))]
    assert links == ["http://x.invalid/p"], "the card's own link, which nothing follows until it is pressed"
    assert seen.tags.count("style") == 1
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert seen.text.count("alert(1)") > 20, "the text itself is shown"


def test_no_part_of_the_page_can_reach_outside(built: Project) -> None:
    html = page_of(built)
    seen = Seen(html)
    policy = next(value for name, value in seen.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not {"iframe", "object", "embed", "form", "base"} & set(seen.tags)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "url(" not in html
    assert "@import" not in html


def test_every_picture_has_a_name_and_every_id_is_unique(built: Project) -> None:
    seen = Seen(page_of(built))
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert seen.tags.count("svg") == sum(1 for name, value in seen.attributes if name == "role" and value == "img")
    named = [value for name, value in seen.attributes if name == "aria-labelledby"]
    assert all(part in ids for value in named for part in value.split())


def test_more_than_two_classes_get_a_line_each(built: Project) -> None:
    known = evaluation()
    curves = known.curves[0]
    three = tuple(
        ClassCurves(name=n, rows=900 - 100 * i, precision_recall=curves.precision_recall, roc=curves.roc, calibration=curves.calibration,
                    gain=curves.gain) for i, n in enumerate(("red", "green", "blue"))
    )  # fmt: skip
    many = msgspec.structs.replace(
        known, classes=("red", "green", "blue"), positive=None, threshold=None, at_threshold={}, curves=three,
        confusion=((5, 1, 0), (0, 6, 2), (1, 0, 0)), groups=tuple(msgspec.structs.replace(one, positives=None) for one in known.groups),
    )  # fmt: skip
    write_json(built.build / "train" / "evaluation.json", many)
    html = page_of(built)
    assert html.count('class="line series2"') == 3 + 1, "three plots and the legend"
    assert "the most probable class wins" in Seen(html).text
    assert known.groups
    assert "Per group" in html


def test_curves_of_one_point_and_of_no_rows_do_not_break_the_page(built: Project) -> None:
    known = evaluation()
    empty = ClassCurves(name="yes", rows=0, precision_recall=((0.0, 0.0),), roc=((0.0, 0.0),), calibration=(), gain=((0.0, 0.0),))
    broken = msgspec.structs.replace(known, rows=1, curves=(empty,), confusion=((0, 0), (0, 0)), importance=(), groups=(), search=())
    write_json(built.build / "train" / "evaluation.json", broken)
    assert "Precision and recall" in page_of(built)


def test_the_best_of_a_loss_is_the_lowest_and_stands_first(built: Project) -> None:
    trained = next(r for r in results(built.build) if isinstance(r, TrainResult))
    trials = tuple(Trial(name=f"trial {n}", algorithm="a", score=0.27 + n / 100, seconds=1.0) for n in range(3))
    save(built.build, msgspec.structs.replace(trained, metric="log_loss", leaderboard=trials))
    falling = msgspec.structs.replace(evaluation(), metric="log_loss", search=((0.5, 0.31), (2.0, 0.27)))
    write_json(built.build / "train" / "evaluation.json", falling)
    html = page_of(built)
    assert html.index("trial 0") < html.index("trial 2")
    assert "From 0.3100 after 0.50 s to 0.2700 after 2.0 s." in html
    summary = summary_of(msgspec.structs.replace(trained, metric="log_loss", leaderboard=trials))
    assert summary.index("trial 0") < summary.index("trial 2")
    assert "line [0.31, 0.31" in summary


def test_a_live_address_can_be_pressed_and_the_first_version_is_no_missing_champion(built: Project) -> None:
    registered = next(r for r in results(built.build) if isinstance(r, RegisterResult))
    evidence = {"metric": "average_precision", "challenger": 0.4721, "challenger_low": 0.43, "challenger_high": 0.52, "floor": 0.1564}
    decision = msgspec.structs.replace(registered.decision, evidence=evidence)
    save(built.build, msgspec.structs.replace(registered, champion=None, decision=decision))
    html = page_of(built)
    head = html.split("</header>")[0]
    assert f'live at <a href="{URL}"' in head
    assert "none yet" not in head
    assert "accepted as the first, against the floor" in " ".join(Seen(head).text.split())
    assert "challenger, lower end" not in html, "one figure has one interval: that of the hold-out's figures"


def test_names_between_backticks_are_code_and_a_vote_takes_no_time_of_its_own(built: Project) -> None:
    suspect = Suspect(column="month", reason="its value follows from `rate.3m`, which tells the time", evidence={})
    write_json(built.build / "train" / "evaluation.json", msgspec.structs.replace(evaluation(), suspects=(suspect,)))
    trained = next(r for r in results(built.build) if isinstance(r, TrainResult))
    save(
        built.build,
        msgspec.structs.replace(trained, leaderboard=(Trial(name=VOTE, algorithm="Vote of 3 models", score=0.48, seconds=0.0),)),
    )
    html = page_of(built)
    assert "follows from <code>rate.3m</code>, which" in html
    assert "`" not in Seen(html.split('<section id="card">')[0]).text
    assert "0.00 s" not in html.split('<section id="search">')[1].split("</section>")[0]


def test_a_wide_table_shows_what_matters_and_folds_the_rest(built: Project) -> None:
    write_json(built.build / "train" / "evaluation.json", of_many_columns(400))
    html = page_of(built)
    assert "The other 380 columns" in html
    assert "32 more columns" in html


def test_every_class_has_a_line_with_what_it_is_taken_for_and_a_missed_one_is_marked(built: Project) -> None:
    known = of_many_classes(20)
    last = len(known.classes) - 1
    confusion = tuple(tuple(0 if column == last else n + (row_sum(row, last) if column == 0 and place == last else 0)
                            for column, n in enumerate(row)) for place, row in enumerate(known.confusion))  # fmt: skip
    write_json(built.build / "train" / "evaluation.json", msgspec.structs.replace(known, confusion=confusion))
    html = page_of(built)
    table = html.split("<h3>Class by class</h3>")[1].split("</table>")[0]
    assert table.count("<tr>") == 1 + 20
    assert table.count("never predicted") == 1
    line = table.split("never predicted")[1].split("</tr>")[0]
    assert known.classes[0] in line
    assert html.split('class="confusion')[1].split("</thead>")[0].count("<th ") == 21, "no column of the confusion matrix is lost"


def row_sum(row: tuple[int, ...], place: int) -> int:
    return row[place]
