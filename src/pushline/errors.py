"""Every failure a user can meet, and the exit code of its family.

    PushlineError
    ├── GateClosed        1   a check or a gate said no; nothing was changed
    │   ├── CriticalFindings      check-data found something that stops training
    │   ├── NotAccepted           the model version was not accepted for release
    │   ├── NotTrusted            a model folder is not what somebody trusted has signed
    │   ├── SmokeFailed           a release did not answer as it must
    │   ├── SloBreached           a release did not withstand its load
    │   ├── CandidateWorse        a candidate did worse than the live release on live requests
    │   └── DriftFound            rows do not look like the data the model was trained on
    ├── SettingsError     2   the command line, pyproject.toml, a variable or a file of the repository is wrong
    │   └── ContractError         data_checks/contract.yml is not a valid contract
    ├── DataError         3   data can't be had or read
    │   ├── DataUnavailable       no source gave the pinned file
    │   └── DataCorrupt           the bytes are not the ones that data.lock pins
    └── TargetError       4   a service or a target failed
        ├── Busy                  another command is at work in the same place
        ├── StepFailed            a step of a pipeline ended badly
        ├── ModelUnreadable       a model folder is incomplete or damaged
        └── RegistryError         the model registry did not answer as it should

Stages raise; only `pushline.cli.main` prints and exits.
"""

from typing import ClassVar


class PushlineError(Exception):
    """A failure told in three lines: what stopped, why, and what to do next."""

    exit_code: ClassVar[int] = 4

    def __init__(self, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.why, self.do) if line)


class GateClosed(PushlineError):
    """A check or a gate said no."""

    exit_code = 1


class CriticalFindings(GateClosed):
    """The data has findings that stop the delivery."""


class NotAccepted(GateClosed):
    """The model version was not accepted for release."""


class NotTrusted(GateClosed):
    """A model folder is not what somebody trusted has signed."""


class SmokeFailed(GateClosed):
    """A release did not answer as it must."""


class SloBreached(GateClosed):
    """A release did not withstand its load."""


class CandidateWorse(GateClosed):
    """A candidate did worse than the live release on live requests."""


class DriftFound(GateClosed):
    """Rows do not look like the data the model was trained on."""


class SettingsError(PushlineError):
    """The command line, the settings or a file of the repository is wrong."""

    exit_code = 2


class ContractError(SettingsError):
    """`data_checks/contract.yml` is not a valid contract."""


class DataError(PushlineError):
    """Data can't be had or read."""

    exit_code = 3


class DataUnavailable(DataError):
    """No source gave the pinned file."""


class DataCorrupt(DataError):
    """The bytes are not the ones that `data.lock` pins."""


class TargetError(PushlineError):
    """A service or a target failed."""

    exit_code = 4


class Busy(TargetError):
    """Another command is at work in the same place."""


class StepFailed(TargetError):
    """A step of a pipeline ended badly."""


class ModelUnreadable(TargetError):
    """A model folder is incomplete or damaged."""


class RegistryError(TargetError):
    """The model registry did not answer as it should."""
