"""New data as a pull request: merging it is the decision to retrain."""

from pushline.data.sources.add import FOLDER, RefreshResult
from pushline.errors import SettingsError
from pushline.github.pull_request import PullRequest, left_in, propose
from pushline.project import Project


def propose_data(project: Project) -> PullRequest:
    """The pull request for what `pushline data refresh` left.

    Raises SettingsError where it left nothing, TargetError with what git or GitHub said.
    """
    seen, body = left_in(project.build / FOLDER, RefreshResult, "pushline data refresh")
    if not seen.changed:
        raise SettingsError("There is nothing to propose.", why="The sources hold what is pinned.", do="Nothing is to be done.")
    names = ", ".join(renewed.name for renewed in seen.renewed)
    title = f"Data version {seen.after[:12]}: new rows in {names}"
    return propose(project.root, [project.data_lock], branch=f"data/{seen.after[:12]}", title=title, body=body)
