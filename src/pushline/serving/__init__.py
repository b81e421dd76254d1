"""The scoring service. It runs on the bare install and imports nothing of training.

- `serve.py`, `supervisor.py`, `child.py`, `worker.py`, `running.py`, `control.py`: the processes, and how they are told what to do
- `protocol.py`, `connection.py`, `exchange.py`, `places.py`: HTTP/1.1 as a state machine, and the sockets around it
- `app.py`, `rights.py`, `keys.py`, `problems.py`: what every service of ours is: routes behind keys, refusals in one shape
- `service.py`, `payload.py`, `scorer.py`, `model_folder.py`: the answer, from a request to the model and back
- `handoff.py`: a share of the requests, answered by a candidate
- `explanation.py`: why it is what it is, for who asks
- `openapi.py`, `pages.py`, `metrics.py`: what is told about it
- `log.py`, `records.py`, `telemetry.py`: what is kept of requests
- `healthcheck.py`: for the container; `client.py`: asking a service
"""
