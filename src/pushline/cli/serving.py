"""Commands that answer requests."""

from pathlib import Path

import click

from pushline.cli.context import Context, tell

folder = click.Path(path_type=Path, file_okay=False)
file = click.Path(path_type=Path, dir_okay=False)


@click.command("serve")
@click.option("--model", type=folder, metavar="FOLDER", help="A model folder; by default the champion of the registry.")
@click.option("--host", help="Address to listen on; by default the setting serving.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one; by default the setting serving.port.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer; by default the setting serving.workers.")
@click.option("--keys", type=file, metavar="FILE", help="The two keys; by default .pushline/keys.json, made if absent.")
@click.option("--release", metavar="ID", help="Name of the release, sent with every answer.")
@click.option("--model-version", metavar="N", help="Version of the model, sent with every answer.")
@click.option("--log", type=file, metavar="FILE", help="Where the log goes; by default standard output.")
@click.option("--control", type=file, metavar="SOCKET", help="Unix socket for status, switch and stop.")
@click.option("--take-over", type=file, metavar="SOCKET", help="Answer on the listening socket of the service with this control socket.")
@click.option("--tied-to", type=int, metavar="PID", help="Stop when this process is gone.")
@click.pass_obj
def serve(
    context: Context,
    model: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    keys: Path | None,
    release: str | None,
    model_version: str | None,
    log: Path | None,
    control: Path | None,
    take_over: Path | None,
    tied_to: int | None,
) -> None:
    """Answer scoring requests, in the foreground, until told to stop."""
    from msgspec import structs

    from pushline.serving.serve import serve as answer

    said = {"host": host, "port": port, "workers": workers}
    settings = structs.replace(context.settings_or_defaults.serving, **{name: value for name, value in said.items() if value is not None})
    if model is None:
        model, champion = champion_of(context)
        release, model_version = release or f"{context.settings.model_name}-{champion}", model_version or champion
    answer(
        model,
        settings,
        keys=keys or context.project.state / "keys.json",
        make_missing_keys=keys is None,
        release=release,
        version=model_version,
        log=log,
        control=control,
        tied_to=tied_to,
        take_over=take_over,
        tell=tell,
    )


def champion_of(context: Context) -> tuple[Path, str]:
    """The champion's model folder and version. Raises SettingsError where there is none."""
    from pushline.errors import SettingsError

    store = context.delivery.store()
    champion = store.champion()
    if champion is None:
        raise SettingsError(
            "There is no champion to serve.",
            why="No model version of this registry was accepted yet.",
            do="Make one with `pushline run`, or name a model folder with --model.",
        )
    return store.download(champion.version), champion.version


COMMANDS: list[click.Command] = [serve]
