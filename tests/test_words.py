"""One noun for one thing, in the words of the field, and modules that build on each other in one direction."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"

# Words that needed our own dictionary, and what the field calls the thing.
RETIRED = {
    "Tell": "Progress",
    "tell": "progress",
    "Fetched": "FetchResult",
    "Checked": "CheckDataResult",
    "Trained": "TrainResult",
    "Registered": "RegisterResult",
    "Deployed": "DeployResult",
    "Smoked": "SmokeResult",
    "LoadTested": "LoadTestResult",
    "Promoted": "PromoteResult",
    "Ran": "PipelineResult or RunResult",
    "Seen": "Observation",
    "Begun": "BatchSubmission",
    "Kept": "ReleaseManifest",
    "Known": "CachedTable or OnLive",
    "Listed": "LockListing",
    "Moved": "LockDiff",
    "Renewed": "FileUpdate",
    "Refreshed": "RefreshResult",
    "Added": "AddResult",
    "Recorded": "RecordedRow",
    "Sampled": "SampleResult",
    "Profiled": "ProfileResult",
    "Measured": "ClassCounts",
    "Gathered": "EvidenceBundle",
    "Restored": "RestoreResult",
    "Wanted": "DesiredState",
    "Refused": "Forbidden or PipelineProblem",
    "Ended": "BatchResult",
    "Scored": "ScoredPiece",
    "Appended": "GrowingFile",
    "Watched": "WatchResult",
    "Source": "FileSource, TableFile, BatchInput, InputSource or FigureSource",
    "State": "of whom: LocalState, AciState, RunReport, StageState",
    "Record": "of what: LocalRecord, AciRecord",
    "Keys": "EndpointKeys",
    "Places": "ConnectionSlots or DataLocations",
    "Tried": "TrialResult",
    "Found": "SearchResult or TrainingJob",
    "Fitted": "FitResult",
    "crown": "set_champion_alias",
    "bury": "reap_workers",
}
# Folders whose files are a list: a command, a step or an examination each.
UNMAPPED = ("cli", "doctor", "pipelines", "pipelines/steps")
# Names of two packages whose parts are never seen together: how a tree is adopted, and how one is brought to a newer engine.
APART = {"adopt", "template", "upgrade"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def names_in(file: Path) -> set[str]:
    """The names of a file's code: no comment, no text."""
    reader = io.StringIO(file.read_text(encoding="utf-8")).readline
    return {token.string for token in tokenize.generate_tokens(reader) if token.type == tokenize.NAME}


def test_no_retired_word_names_anything() -> None:
    found = {
        f"{file.relative_to(SOURCE)}: {word}, now {RETIRED[word]}"
        for file in SOURCE.rglob("*.py")
        if APART.isdisjoint(file.relative_to(SOURCE).parts) and file.name != "journal.py"  # which asks a stream where it stands
        for word in names_in(file) & RETIRED.keys()
    }
    assert not found


def test_no_type_has_the_name_of_another() -> None:
    homes = defaultdict(set)
    for name, tree in modules().items():
        if not APART.isdisjoint(name.split(".")):
            continue
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            defined = [node.name] if isinstance(node, ast.ClassDef) else [target.id for target in targets if isinstance(target, ast.Name)]
            for one in defined:
                if re.fullmatch(r"[A-Z][a-z]\w+", one):
                    homes[one].add(name)
    assert not {name: places for name, places in homes.items() if len(places) > 1}


def test_the_first_file_of_a_folder_is_its_map() -> None:
    package, unnamed = SOURCE / "pushline", set()
    for folder in {file.parent for file in package.rglob("*.py")} - {package, *(package / name for name in UNMAPPED)}:
        said = ast.get_docstring(modules()[".".join(folder.relative_to(SOURCE).parts)]) or ""
        named = set(re.findall(r"[\w-]+\.py", said))
        unnamed |= {f"{folder.name}/{file.name}" for file in folder.glob("*.py") if file.name not in named | {"__init__.py", "__main__.py"}}
    assert not unnamed


def test_no_import_leads_back_to_where_it_began() -> None:
    """Those inside functions and those for annotations alone are imports too."""
    known = modules()
    graph = {}
    for name, tree in known.items():
        wanted = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {one if one in known else node.module for one in inside}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        graph[name] = {one for one in wanted if one in known and one != name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
