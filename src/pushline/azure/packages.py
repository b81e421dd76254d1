"""Whether the azure packages are here."""

from importlib.util import find_spec

from pushline.errors import SettingsError


def needs_azure() -> None:
    """Raise SettingsError, naming the extra to install, where the azure packages are missing."""
    for package in ("azure.ai.ml", "azure.identity", "azure.mgmt.containerinstance", "azureml.mlflow"):
        try:
            found = find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise SettingsError(
                "Targets on Azure need packages that are not installed here.",
                why=f"{package} can't be imported.",
                do='Install the extra: `pip install --require-hashes -r requirements/train.txt`, or keep `target = "local"`.',
            )
