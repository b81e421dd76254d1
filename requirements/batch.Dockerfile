# The environment of batch deployments on Azure Machine Learning. Azure's driver and we need different versions of the same
# packages, so ours lie in a Python of their own; src/pushline/batch/driver.py goes from one to the other.
FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends fuse libgomp1 && rm -rf /var/lib/apt/lists/*
COPY batch.txt steps.txt ./
RUN python -m venv /opt/pushline \
    && /opt/pushline/bin/pip install --no-cache-dir --require-hashes --requirement steps.txt \
    && pip install --no-cache-dir --require-hashes --requirement batch.txt
