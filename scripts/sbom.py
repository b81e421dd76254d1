"""The bill of materials of the bare install, as CycloneDX JSON: `python scripts/sbom.py FILE`.

Made by syft from a folder that holds the locked packages and nothing else, so it lists what the image installs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="pushline-sbom-") as folder:
        place = Path(folder) / "venv"
        subprocess.run([tools / "uv", "venv", "--quiet", "--python", sys.executable, place], check=True)
        locked = ["--require-hashes", "-r", REPO / "requirements" / "serve.txt"]
        subprocess.run([tools / "uv", "pip", "install", "--quiet", "--python", place / "bin" / "python", *locked], check=True)
        quiet = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        command = [tools / "syft", "scan", "-q", f"dir:{place}", "-o", "cyclonedx-json"]
        content = json.loads(subprocess.run(command, env=quiet, capture_output=True, check=True).stdout)
    content["metadata"]["component"] = {"type": "container", "name": "pushline-scoring"}
    Path(sys.argv[1]).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"{len(content['components'])} components in {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
