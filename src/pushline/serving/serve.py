"""The service in the foreground, as a container runs it too."""

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from msgspec import structs

from pushline.serving.control import address_of, bind, taken_over
from pushline.serving.keys import make_keys, read_keys
from pushline.serving.model_folder import read_scoring
from pushline.serving.running import Running, named, record_of
from pushline.serving.supervisor import Supervisor
from pushline.settings import Serving


def serve(
    model: Path,
    settings: Serving,
    *,
    signers: Path | None,
    keys: Path,
    make_missing_keys: bool = False,
    release: str | None = None,
    version: str | None = None,
    log: Path | None = None,
    records: Path | None = None,
    control: Path | None = None,
    tied_to: int | None = None,
    take_over: Path | None = None,
    progress: Callable[[str], None],
) -> None:
    """Answer until SIGTERM, SIGINT or a `stop` on the control socket, then drain and return.

    With `take_over`, the control socket of a service that runs, it answers on that one's listening socket beside it; who
    started it lets the other one retire, so that no connection is refused while code, settings and model change.

    Raises NotTrusted for a model that none of `signers` has signed, or another than the one that was approved, SettingsError for
    keys or names that can't be used, ModelUnreadable for a damaged folder, TargetError where the address is taken or the workers
    can't start.
    """
    if make_missing_keys and not keys.exists():
        make_keys(keys)
        progress(f"Made two keys in {keys}.")
    read_keys(keys)
    record = record_of(model)
    if record is not None and record.manifest is None:
        signers = None
        progress(f"Release {record.id} was made before models were signed: nobody vouches for it. Deploy its version again.")
    release, version = named(model, release, version)
    running = Running(
        model=model.resolve(),
        release=release,
        version=version,
        keys=keys.resolve(),
        log=log,
        settings=settings,
        records=records,
        signers=signers,
        manifest=(record and record.manifest) or "",
    )
    running.verify()
    read_scoring(model)
    listener = bind(settings.host, settings.port) if take_over is None else taken_over(take_over)
    host, port = listener.getsockname()[:2]
    settings = structs.replace(settings, host=host, port=port)
    if settings.record and records is None:
        # A container has no log file: what it keeps goes with it.
        records = log.parent / f"{log.stem}-scored" if log is not None else Path(mkdtemp(prefix="pushline-scored-"))
        progress(f"Keeping a sample of the scored rows in {records}.")
    running = structs.replace(running, settings=settings, records=records)
    supervisor = Supervisor(running, listener, control=control, tied_to=tied_to, progress=progress)
    url = address_of(host, port)
    progress(f"Serving release {release}, model version {version}, on {url} (docs: {url}/docs).")
    supervisor.run()
