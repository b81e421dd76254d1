"""`pushline upgrade`: bring a thin repository to another version of the engine.

    upgrading.py     the steps, in order; what they change in the users' words, for a terminal and for a pull request; the plan made
                     so: written down whole first, then file by file, so that a kill is made good by the same command
    engine.py        a version of the engine: its wheel, what its template writes for recorded answers, its changelog; where the
                     wheel of another version comes from: a file, a package index, a GitHub release
    trees.py         git's trees in a scratch repository: read, made, merged
    plan.py          the three-way merge: old template, the owner's repository, new template
    values.py        the contract and the settings, merged by value where their lines collide

A caller needs `upgrading.upgrade`, and `upgrading.propose_upgrade`.
"""
