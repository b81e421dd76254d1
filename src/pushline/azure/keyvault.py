"""The endpoint's two keys as one secret of the workspace's Key Vault: made once, rotated, never shown."""

from typing import Any

import msgspec

from pushline.azure.arm import PATIENCE
from pushline.azure.cloud import Cloud
from pushline.azure.failures import asking, refused
from pushline.errors import TargetError
from pushline.release.target import KeysWithheld
from pushline.serving.keys import EndpointKeys, new_key


class VaultKeys:
    """The keys of one endpoint."""

    def __init__(self, cloud: Cloud, label: str) -> None:
        self.cloud = cloud
        self.name = f"pushline-{label}-keys"
        self.version = ""  # the address of the version that was read or written last

    @property
    def place(self) -> str:
        return f"{self.cloud.vault_address}/secrets/{self.name}"

    def _client(self) -> Any:
        from azure.keyvault.secrets import SecretClient

        return SecretClient(self.cloud.vault_address, self.cloud.credential, **PATIENCE)

    def read(self) -> EndpointKeys | None:
        """The keys; None before the first release.

        Raises KeysWithheld where this identity may not read them, TargetError where the secret is not what it must be.
        """
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        what = "reading the endpoint's keys from Key Vault"
        with asking(what):
            try:
                secret = self._client().get_secret(self.name)
                said, self.version = secret.value, secret.id
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if error.status_code != 403:
                    raise
                told = refused(what, error)
                raise KeysWithheld(told.what, why=told.why, do=told.do) from error
        try:
            return msgspec.json.decode(said or "", type=EndpointKeys)
        except msgspec.DecodeError:
            raise TargetError(
                f"The keys at {self.place} can't be used.",
                why='The secret is not {"primary": "…", "secondary": "…"}.',
                do="Restore an earlier version of the secret in Key Vault, then run the same command again.",
            ) from None  # the decoder's words could quote a key

    def read_or_make(self) -> EndpointKeys:
        return self.read() or self.write(EndpointKeys(primary=new_key(), secondary=new_key()))

    def write(self, keys: EndpointKeys) -> EndpointKeys:
        """The keys as the secret's newest version."""
        text = msgspec.json.encode(keys).decode()
        with asking("writing the endpoint's keys to Key Vault"):
            self.version = self._client().set_secret(self.name, text, content_type="application/json").id
        return keys
