"""Ten releases of the engine × six adopted tables × five edits of an owner: 300 upgrades, each timed. `make upgrades`.

Says of each table and edit how long its upgrades took, and at the end what was lost, in conflict, or otherwise than a fresh adoption with
the edit. Ends with 1 where anything was.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    from upgrade.matrix import CHANGES, EDITS, MAKERS, adopted, changed, copied, differing, releases, walk

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=len(MAKERS))
    parser.add_argument("--releases", type=int, default=len(CHANGES))
    parser.add_argument("--at-once", action="store_true", help="over all releases in one step")
    asked = parser.parse_args()
    seconds: list[float] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pushline-upgrades-") as folder:
        place = Path(folder)
        wheels = releases(place / "engines", asked.releases)
        wheels = [wheels[0], wheels[-1]] if asked.at_once else wheels
        for make in MAKERS[: asked.tables]:
            begun = adopted(wheels[0], make, place / make.__name__ / "begun")
            fresh = adopted(wheels[-1], make, place / make.__name__ / "fresh")
            for number, (name, change) in enumerate(EDITS.items()):
                mine = copied(begun, place / make.__name__ / f"mine-{number}")
                took, faults = walk(mine, change, wheels[1:])
                expected = changed(copied(fresh, place / make.__name__ / f"fresh-{number}"), change)
                faults += [f"the end differs in {path}" for path in differing(mine, expected)]
                seconds += took
                wrong += [f"{make.__name__}, {name}: {fault}" for fault in faults]
                print(f"{make.__name__:<20} {name:<16} {len(took):>3} upgrades, the longest {max(took):.2f} s", flush=True)
    print(f"{len(seconds)} upgrades: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    computed = resource.getrusage(resource.RUSAGE_CHILDREN)
    each = (computed.ru_utime + computed.ru_stime) / len(seconds)
    print(f"{os.cpu_count()} cores under a load of {os.getloadavg()[1]:.1f}")
    print(f"processor time for an upgrade, its share of adoptions and commits included: {each:.2f} s")
    print("\n".join(wrong) or "No edit was lost, nothing was in conflict, each end equals a fresh adoption with the edit.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
