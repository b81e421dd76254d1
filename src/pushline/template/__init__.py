"""The repository that people own, made from its answers: a small one, with the engine as a pinned wheel.

`manifest.py` lists its files, `source.py` reads them where the engine is, `answers.py` is what one repository answered,
`render.py` makes the files of it, `wheel.py` the engine as a file. `python -m pushline.template template.json FOLDER` writes them.
"""
