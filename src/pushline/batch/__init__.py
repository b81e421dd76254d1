"""Batch scoring: files of any size to scores, in constant memory, resumable, with the answers the service would give."""
