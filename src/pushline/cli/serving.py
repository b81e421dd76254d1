"""Commands that answer requests."""

from pathlib import Path
from typing import Any

import click

from pushline.cli.context import Context, as_json, progress, show

folder = click.Path(path_type=Path, file_okay=False)
file = click.Path(path_type=Path, dir_okay=False, readable=False)  # what can't be read is told by who reads it


@click.command("serve")
@click.option("--model", type=folder, metavar="FOLDER", help="A model folder; by default the champion of the registry.")
@click.option("--host", help="Address to listen on; by default the setting serving.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one; by default the setting serving.port.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer; by default the setting serving.workers.")
@click.option("--signers", type=folder, help="Who may have signed the model; by default signers/ of the repository, or beside the model.")
@click.option("--keys", type=file, metavar="FILE", help="The two keys; by default .pushline/keys.json, made if absent.")
@click.option("--release", metavar="ID", help="Name of the release, sent with every answer.")
@click.option("--model-version", metavar="N", help="Version of the model, sent with every answer.")
@click.option("--log", type=file, metavar="FILE", help="Where the log goes; by default standard output.")
@click.option("--records", type=folder, help="Where the setting serving.record keeps scored rows; by default beside the log.")
@click.option("--control", type=file, metavar="SOCKET", help="Unix socket for status, switch and stop.")
@click.option("--take-over", type=file, metavar="SOCKET", help="Answer on the listening socket of the service with this control socket.")
@click.option("--tied-to", type=int, metavar="PID", help="Stop when this process is gone.")
@click.pass_obj
def serve(
    context: Context,
    /,
    model: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    keys: Path | None,
    signers: Path | None,
    release: str | None,
    model_version: str | None,
    **where: Any,
) -> None:
    """Answer scoring requests, in the foreground."""
    from msgspec import structs

    from pushline.registry.store import version_or_champion
    from pushline.serving.serve import serve as answer

    said = {"host": host, "port": port, "workers": workers}
    settings = structs.replace(context.settings_or_defaults.serving, **{name: value for name, value in said.items() if value is not None})
    if model is None:
        store = context.delivery.store()
        champion = version_or_champion(store, None).version
        model = store.download(champion)
        release, model_version = release or f"{context.settings.model_name}-{champion}", model_version or champion
    answer(
        model,
        settings,
        signers=signers or context.signers or model.resolve().parent / "signers",
        keys=keys or context.project.state / "keys.json",
        make_missing_keys=keys is None,
        release=release,
        version=model_version,
        progress=progress,
        **where,
    )


@click.command("score")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--curl", is_flag=True, help="Only print the command of curl that asks for the first row.")
@click.option("--explain", type=click.IntRange(1, 9999), metavar="K", help="Also the K features that moved each row's score most.")
@as_json
def score(context: Context, file: Path, curl: bool, explain: int | None, json: bool) -> None:
    """Score the rows of a JSON, CSV or Parquet file.

    The live release is asked; JSON is {"data": [rows]}.
    """
    from pushline.release.scoring import MOST_ROWS, curl_of, score_file, table_of
    from pushline.serving.model_folder import EXPLAINED_AT_MOST

    delivery = context.delivery
    if curl:
        click.echo(curl_of(delivery.target(), file, delivery.contract()))
        return
    at_once = min(context.settings.serving.max_rows, EXPLAINED_AT_MOST if explain else MOST_ROWS)
    answer = score_file(delivery.target(), file, delivery.contract(), at_once=at_once, explain=explain or 0)
    show(answer, json, table_of(answer))


@click.command("openapi")
@click.option("--out", type=file, metavar="FILE", help="Write the document there instead of printing it.")
@click.option("--serve", is_flag=True, help="Open Swagger UI for it on this machine, until interrupted.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of Swagger UI; by default any free one.")
@click.pass_obj
def openapi(context: Context, out: Path | None, serve: bool, port: int) -> None:
    """Fetch the API document of the live release."""
    from pushline.files import write_atomically
    from pushline.release.scoring import Viewer, document_of, live_of

    live = live_of(context.delivery.target())
    if serve:
        with Viewer(live, port) as viewer:
            progress(f"Swagger UI for {live.release.id}: {viewer.url} (Ctrl-C ends it)")
            viewer.serve_forever()
    elif out is not None:
        write_atomically(out, document_of(live) + b"\n")
        progress(f"Wrote {out}.")
    else:
        click.echo(document_of(live).decode())


COMMANDS: list[click.Command] = [serve, score, openapi]
