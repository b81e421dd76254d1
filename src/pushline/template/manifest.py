"""The files of a repository that people own. No other list says so: the wheel is packed by this one too.

A file that the engine's own repository has under the same name is taken from there, without the lines between `# engine only`
and `# end`; the others are texts in `own/`, which know names in braces.
"""

SHARED = (
    ".devcontainer/devcontainer.json",
    ".dockerignore",
    ".github/CODEOWNERS",
    ".github/actions/keep/action.yml",
    ".github/actions/setup/action.yml",
    ".github/dependabot.yml",
    ".github/workflows/deliver.yml",
    ".github/workflows/publish.yml",
    ".github/workflows/retrain.yml",
    ".github/workflows/rollback.yml",
    ".github/workflows/score-batch.yml",
    ".github/workflows/upgrade.yml",
    ".github/workflows/watch.yml",
    ".github/zizmor.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "compose.yml",
    "data_checks/contract.schema.json",
    "load/locustfile.py",
    "notebooks/explore.ipynb",
    "pipelines/components/automl.yml",
    "pipelines/components/evaluate.yml",
    "pipelines/components/prepare.yml",
    "pipelines/components/score-batch.yml",
    "pipelines/prepare.yml",
    "pipelines/score-batch.yml",
    "pipelines/train.yml",
    "pyproject.toml",
    "requirements/batch.Dockerfile",
    "requirements/batch.txt",
    "requirements/notebook.txt",
    "requirements/serve.txt",
    "requirements/steps.txt",
    "requirements/training.Dockerfile",
    "requirements/uv.txt",
    "scripts/prerequisites.py",
    "scripts/setup.py",
    "tests/repository/__init__.py",
    "tests/repository/conftest.py",
    "tests/repository/test_contract.py",
    "tests/repository/test_delivery.py",
    "tests/repository/test_pipelines.py",
    "tests/repository/test_rules.py",
    "tests/repository/test_workflows.py",
)
# What describes the table: the example's, where no other table was adopted.
TABLE = ("data.lock", "data_checks/contract.yml", "data_checks/profile.json", "data_checks/rules.py", "examples/two-rows.json")
# Of the engine's own repository, beside the above: what goes where a clone of it becomes somebody's own. A folder ends in a slash.
ENGINE = (
    ".ci/",
    ".github/ISSUE_TEMPLATE/",
    ".github/pull_request_template.md",
    ".github/workflows/release.yml",
    "CHANGELOG.md",
    "docs/",
    "requirements/",
    "scripts/",
    "src/.amlignore",
    "src/pushline/",
    "tests/",
    "zensical.toml",
)
# The locks of environments that hold the engine, and what they are made of: the packages of a small repository.
LOCKS = {
    "requirements/dev.txt": "requirements/checks.txt",
    "requirements/release.txt": "requirements/release.txt",
    "requirements/train.txt": "requirements/train.txt",
}
OWN = {
    ".github/workflows/checks.yml": "checks.yml",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "README.md": "README.md",
    "pyproject.toml": "project.toml",  # what stands before the shared part
}
