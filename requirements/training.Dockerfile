# The environment of the training steps on Azure Machine Learning: the same lock as on this machine.
FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY steps.txt .
RUN pip install --no-cache-dir --require-hashes --requirement steps.txt
