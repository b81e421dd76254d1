"""Releases on Azure Container Apps: a release is a revision of one container app, and traffic weights say which is live.

- `definition.py`: what a revision is made of
- `state.py`: what the app says of itself: its revisions, weights and tags; nothing is remembered anywhere else
- `app.py`: the app, read and changed through the resource manager
- `split.py`: live requests shared by weights
- `target.py`: the target
"""
