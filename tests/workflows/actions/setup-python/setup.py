"""Says no to any Python but the one that the tests run on: a job must not pass on another than it asked for."""

import os
import sys


def main() -> int:
    there = "{}.{}".format(*sys.version_info[:2])
    if os.environ["VERSION"] == there:
        return 0
    print(f"::error::Python {os.environ['VERSION']} was asked for, and there is {there} alone")
    return 1


if __name__ == "__main__":
    sys.exit(main())
