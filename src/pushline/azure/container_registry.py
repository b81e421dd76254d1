"""The workspace's container registry: what digest a tag has, images brought from elsewhere, images built."""

import os
import time
import urllib.parse
from typing import Any

from pushline.azure.arm import PATIENCE
from pushline.azure.cloud import Cloud, name_of
from pushline.azure.failures import asking, first_line
from pushline.errors import TargetError
from pushline.progress import Progress

VERSION = "2023-07-01"
TASKS_VERSION = "2019-06-01-preview"
RUNNING = (None, "Queued", "Started", "Running")
SCOPE = "https://containerregistry.azure.net/.default"
MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
BUILD_S = 1800.0
LOOK_S = 2.0
LOG_LINES = 5


class ContainerRegistry:
    """The registry, signed in as whoever runs the command."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.server = cloud.login_server

    def digest_of(self, repository: str, tag: str) -> str | None:
        """The digest behind a tag; None where there is no such image."""
        from azure.core.rest import HttpRequest

        address = f"https://{self.server}/v2/{repository}/manifests/{tag}"
        with asking(f"looking for the image {repository}:{tag}"):
            token = self.token(f"repository:{repository}:pull")
            answer = self._client().send_request(
                HttpRequest("HEAD", address, headers={"Accept": MANIFESTS, "Authorization": f"Bearer {token}"})
            )
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            return str(answer.headers["Docker-Content-Digest"])

    def refresh_token(self) -> str:
        """A password for the user 00000000-0000-0000-0000-000000000000, as `docker login` takes it."""
        access = self.cloud.credential.get_token(SCOPE).token
        return self._post("exchange", {"grant_type": "access_token", "service": self.server, "access_token": access})["refresh_token"]

    def token(self, scope: str) -> str:
        form = {"grant_type": "refresh_token", "service": self.server, "scope": scope, "refresh_token": self.refresh_token()}
        return self._post("token", form)["access_token"]

    def _post(self, what: str, form: dict[str, str]) -> dict[str, str]:
        from azure.core.rest import HttpRequest

        answer = self._client().send_request(
            HttpRequest(
                "POST",
                f"https://{self.server}/oauth2/{what}",
                content=urllib.parse.urlencode(form),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
        )
        answer.raise_for_status()
        return dict(answer.json())

    def _client(self) -> Any:
        from azure.core import PipelineClient

        return PipelineClient(f"https://{self.server}", **PATIENCE)

    def copied(self, image: str, progress: Progress) -> str:
        """`server/repository@digest` of a public image such as docker.io/library/caddy:2.11, copied here once, or of one that is here."""
        source, _, tag = image.rpartition(":")
        host, _, path = source.partition("/")
        repository = path if host == self.server else name_of(path)
        digest = self.digest_of(repository, tag)
        if digest is None and host != self.server:
            progress(f"Copying {image} into {self.server}.")
            body = {
                "source": {"registryUri": host, "sourceImage": f"{path}:{tag}", **credentials()},
                "targetTags": [f"{repository}:{tag}"],
                "mode": "NoForce",
            }
            self.cloud.arm.act(self.cloud.facts.registry, "importImage", VERSION, body, what=f"copying {image} into the registry")
            digest = self.digest_of(repository, tag)
        if digest is None:
            raise TargetError(
                f"The image {image} is not in {self.server}.",
                why="The registry does not know it.",
                do="Run the same command again, or push it there by hand.",
            )
        return f"{self.server}/{repository}@{digest}"

    def build(self, archive: bytes, arguments: dict[str, str], repository: str, tag: str, *, push: bool = True) -> str:
        """Build a context (tar.gz) with the registry's own tasks; the digest of what was pushed, if it was to be.

        Asked of the resource manager itself: the client package takes one of the two statuses that starting a run may answer.
        Raises TargetError with the last lines of the build's log where it failed.
        """
        from azure.storage.blob import BlobClient

        registry, what = self.cloud.facts.registry, f"building the image {repository}:{tag}"
        upload = self.cloud.arm.act(registry, "listBuildSourceUploadUrl", TASKS_VERSION, what=what)
        with asking(what):
            BlobClient.from_blob_url(upload["uploadUrl"], **PATIENCE).upload_blob(archive, overwrite=True)
        wanted = {
            "type": "DockerBuildRequest",
            "imageNames": [f"{repository}:{tag}"],
            "isPushEnabled": push,
            "dockerFilePath": "Dockerfile",
            "platform": {"os": "Linux", "architecture": "amd64"},
            "arguments": [{"name": name, "value": value, "isSecret": False} for name, value in arguments.items()],
            "sourceLocation": upload["relativePath"],
            "timeout": int(BUILD_S),
        }
        run = self.cloud.arm.act(registry, "scheduleRun", TASKS_VERSION, wanted, what=what, follow=False)
        until = time.monotonic() + BUILD_S
        while run["properties"].get("status") in RUNNING and time.monotonic() < until:
            time.sleep(LOOK_S)
            run = self.cloud.arm.read(f"{registry}/runs/{run['properties']['runId']}", TASKS_VERSION, what=what)
        images = run["properties"].get("outputImages") or []
        if run["properties"].get("status") != "Succeeded" or (push and not images):
            raise self._not_built(f"{registry}/runs/{run['properties']['runId']}", run["properties"].get("status"))
        return str(images[0]["digest"]) if push else ""

    def _not_built(self, run: str, status: str | None) -> TargetError:
        from azure.storage.blob import BlobClient

        what = "reading the build's log"
        link = self.cloud.arm.act(run, "listLogSasUrl", TASKS_VERSION, what=what)["logLink"]
        with asking(what):
            lines = BlobClient.from_blob_url(link, **PATIENCE).download_blob().readall().decode("utf-8", "replace").splitlines()
        last = " | ".join(first_line(line) for line in lines[-LOG_LINES:] if line.strip())
        return TargetError(
            "The image could not be built.",
            why=f"The build {name_of(run)} ended as {status}. It said: {last}",
            do='Correct the Dockerfile, or build with an engine here (image_builder = "docker").',
        )


def credentials() -> dict[str, dict[str, str]]:
    """Who asks Docker Hub for an image, where the variables that its own actions use say so: it limits those without a name."""
    user, token = os.environ.get("DOCKERHUB_USERNAME", ""), os.environ.get("DOCKERHUB_TOKEN", "")
    return {"credentials": {"username": user, "password": token}} if user and token else {}
