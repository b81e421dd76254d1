"""`pushline adopt` and `pushline new`: a table of one's own in a small repository.

In the order in which a file goes through them:

- `archive.py`, `text_table.py`, `facts.py`, `numbers.py`, `dates.py`: the file as text cells, and what the cells of each column look like
- `columns.py`, `label.py`, `split.py`, `draft.py`: the contract that is drafted from it, and with it all else that speaks of a table
- `merge.py`, `contract_file.py`, `example.py`, `settings.py`: the draft beside what people wrote, and as files that they read
- `plan.py`, `report.py`: the files that change, and what is said of it
- `git.py`, `journal.py`: only what git can bring back; made so, and taken back
- `new.py`, `thin.py`: a repository from nothing, and one from before the engine was a package
"""
