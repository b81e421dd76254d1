"""`python -m pushline.template template.json FOLDER`: the untouched repository for these answers, with the engine that runs this.

Also out of a wheel that is not installed: `PYTHONPATH=pushline-0.1.0-py3-none-any.whl python -m pushline.template ...`
"""

import sys
from pathlib import Path

from pushline.errors import PushlineError
from pushline.template.answers import read_record
from pushline.template.render import render
from pushline.template.wheel import own_wheel


def main() -> int:
    if len(sys.argv) != 3:
        sys.stderr.write("usage: python -m pushline.template template.json FOLDER\n")
        return 2
    answers, folder = map(Path, sys.argv[1:])
    try:
        files = render(read_record(answers), own_wheel())
    except PushlineError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
