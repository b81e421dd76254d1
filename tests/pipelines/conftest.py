"""A small pipeline in a folder of its own: two steps that tell what they were given."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

STEP = """
import json, os, pathlib, subprocess, sys, time
out, words = pathlib.Path(sys.argv[-1]), sys.argv[1:-1]
print("got", len(words), "arguments")
print("a line of noise", file=sys.stderr)
if "fail" in words:
    sys.exit("it can't be done")
if "vanish" in words:
    sys.exit(0)
if "hang" in words:
    subprocess.Popen(["sleep", "86399"], start_new_session=True)
    (out / "half.txt").write_text("half")
    pathlib.Path(os.environ["MARK"]).write_text(str(os.getpid()))
    time.sleep(600)
(out / "said.json").write_text(json.dumps(words))
pathlib.Path("litter.txt").write_text("left in the working folder")
"""
COMPONENT = """
type: command
name: tell
description: Tells what it was given.
inputs:
  text: {type: string, default: nothing}
  share: {type: number, default: 0.5, min: 0, max: 1}
  count: {type: integer, default: 3, min: 1}
  loud: {type: boolean, default: false}
  mode: {type: string, default: plain, enum: [plain, fancy]}
  before: {type: uri_folder, optional: true}
  note: {type: string, optional: true}
outputs:
  told: {type: uri_folder}
code: ../code
environment: azureml:any:1
command: >-
  python step.py ${{inputs.text}} --share=${{inputs.share}} --count ${{ inputs.count }} --loud ${{inputs.loud}}
  --mode ${{inputs.mode}} $[[--before ${{inputs.before}}]] $[[--note '${{inputs.note}}']] ${{outputs.told}}
"""
PIPELINE = """
type: pipeline
display_name: telling
inputs:
  text: hello
  count: 3
  source: {type: uri_folder, path: source}
outputs:
  last: {type: uri_folder}
jobs:
  second:
    type: command
    component: ./components/tell.yml
    inputs:
      text: second
      before: ${{parent.jobs.first.outputs.told}}
      loud: true
    outputs:
      told: ${{parent.outputs.last}}
  first:
    type: command
    component: ./components/tell.yml
    inputs:
      text: ${{parent.inputs.text}}
      count: ${{parent.inputs.count}}
      before: ${{parent.inputs.source}}
"""
RUN = """
import signal, sys
from pathlib import Path
from pushline.cli import terminated
from pushline.pipelines.runner.runner import run_pipeline
signal.signal(signal.SIGTERM, terminated)
run_pipeline(Path(sys.argv[1]), {"text": "hang"}, Path(sys.argv[2]), progress=print)
"""


@pytest.fixture
def telling(tmp_path: Path) -> Path:
    """The pipeline's file."""
    for name in ("components", "code", "source"):
        (tmp_path / "pipe" / name).mkdir(parents=True)
    place = tmp_path / "pipe"
    (place / "code" / "step.py").write_text(STEP)
    (place / "source" / "data.txt").write_text("data")
    (place / "components" / "tell.yml").write_text(textwrap.dedent(COMPONENT))
    (place / "telling.yml").write_text(textwrap.dedent(PIPELINE))
    return place / "telling.yml"


@pytest.fixture
def hanging_run(telling: Path, tmp_path: Path) -> "Callable[[], tuple[subprocess.Popen[bytes], Path]]":
    """Start a run whose first step hangs with a detached child of its own; returns it and the file its step marked."""

    def start() -> "tuple[subprocess.Popen[bytes], Path]":
        mark = tmp_path / "mark"
        environment = {**os.environ, "MARK": str(mark)}
        run = subprocess.Popen([sys.executable, "-c", RUN, str(telling), str(tmp_path / "out")], env=environment)
        return run, mark

    return start
