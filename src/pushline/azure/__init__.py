"""Azure: the only place that imports azure.*.

- `credential.py`, `packages.py`, `cloud.py`, `arm.py`, `failures.py`: signing in, the clients, calls without a client, what Azure said
- `endpoint.py`, `keyvault.py`, `logs.py`: what every target here has
- `target.py`, `state.py`, `definition.py`, `groups.py`: releases as container groups; `containerapps/`: as revisions of a container app
- `image.py`, `build_image.py`, `container_registry.py`: the scoring image and the container registry
- `training.py`, `pipeline.py`, `table.py`, `compute.py`, `leaderboard.py`: a pipeline as a job of the workspace
- `published.py`, `batch.py`: batch endpoints, of pipelines and of models
- `store.py`: the model registry
- `infrastructure.json`, `infrastructure.py`, `roles.py`: what must stand in an account
- `bootstrap.py`, `account.py`, `doctor.py`, `preflight.py`: by what it is made, looked at and tried
"""
