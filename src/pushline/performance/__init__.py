"""Does the released model still do what its card promises?

- `estimate.py`: what the figure is likely to be where no outcome is known yet; formula and paper beside the code
- `windows.py`: rows that the model never learned from, with labels: what was promised, and what estimates lean on; and the rows that
  were scored, window by window
- `judge.py`: realised and estimated figures against the promise; when that is an alarm, and what to do
- `performance.py`: all of it for one version
"""
