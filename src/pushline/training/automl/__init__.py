"""AutoML on this machine: a portfolio first, a search in the time left, a vote where it is better.

- `limits.py`: what is asked for, with the meaning it has on Azure
- `search.py`: the search; `proposals.py`: what to try next; `algorithms.py`, `libraries.py`, `linear.py`: of what
- `trials.py`, `pool.py`, `worker.py`: a candidate on its folds, in processes with limits of time and memory
- `target_means.py`: columns of many values as numbers; `imbalance.py`, `treatments.py`: the rare class
- `calibrate.py`: the vote, and its probabilities brought to observed frequencies
"""
