"""Batch scoring: files of any size to scores, in constant memory, resumable, with the answers the service would give.

- `job.py`: the job: pieces go to all cores and are written in their order; how far a scored file is from the training data
- `source.py`, `row_ends.py`: the input in pieces, cut where rows end
- `score.py`, `rows.py`: one piece, from its bytes through the model's matrix to its scores
- `output.py`: the file of scores, in step with a journal
- `parts.py`, `driver.py`: a large input cut for other machines, and what they run
"""
