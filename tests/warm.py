"""A process that has imported once what the commands import, and forks for each command.

A test process keeps one (see command.py): it writes a request as a line of JSON to its standard input and reads the process id and then
the exit code. Each command still is a process of its own with its own folder, variables, streams and exit; what it saves is the seconds
that every one would spend on importing Great Expectations, MLflow and Azure's packages.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from typing import Any

# What takes long among what commands import. None of it starts a thread, which no fork would carry over.
HEAVY = (
    "great_expectations",
    "great_expectations.expectations",
    "matplotlib.figure",
    "mlflow",
    "mlflow.onnx",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnxruntime",
    "pushline.cli",
    "pushline.data.check",
    "pushline.delivery",
)
FOR_AZURE = ("azure.ai.ml", "azure.ai.ml.entities", "azure.identity", "azureml.mlflow")  # once a command is for the aci target


def load(names: tuple[str, ...]) -> None:
    """Import them, quietly; what is not installed stays away."""
    from pushline.registry.mlflow_store import quiet_mlflow

    quiet_mlflow()
    with warnings.catch_warnings(action="ignore"):
        for name in names:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("pushline"):
                    raise
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()  # the children share what is here


def become(request: dict[str, Any]) -> int:
    """Be the command that is asked for; returns its exit code."""
    for number, name in enumerate(("in", "out", "err")):
        file = os.open(request[name], os.O_RDONLY if number == 0 else os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, request["cwd"])
    sys.argv = ["pushline", *request["arguments"]]
    code: Any = 0
    try:
        runpy.run_module("pushline", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001  # as at the top of an interpreter
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # what an interpreter does at its end, in its order
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    load(HEAVY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        if request["env"].get("PUSHLINE_TARGET") == "aci" and FOR_AZURE[0] not in sys.modules:
            load(FOR_AZURE)
        child = os.fork()
        if child == 0:
            os._exit(become(request))
        print(child, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    main()
