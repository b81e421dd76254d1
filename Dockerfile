# The scoring image: the bare install, the code, and one model. `make image` builds it for the live release.
# Any slim image of Python 3.11 or newer; pin a digest here, or give one with --build-arg BASE=...@sha256:...
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS install
# The epoch makes what pip and compileall write the same at every build.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore SOURCE_DATE_EPOCH=315532800
WORKDIR /build
COPY requirements/serve.txt serve.txt
RUN python -m venv --without-pip /opt/pushline \
    && pip --python /opt/pushline/bin/python install --quiet --no-compile --no-deps --only-binary :all: --require-hashes --requirement serve.txt \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/pushline/lib
COPY src /app
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE} AS names
ARG RELEASE=unreleased
ARG MODEL_VERSION=unreleased
ARG MANIFEST=
RUN printf '{"release": {"id": "%s", "model_version": "%s", "manifest": "%s"}}\n' "${RELEASE}" "${MODEL_VERSION}" "${MANIFEST}" > /release.json

FROM ${BASE}
ENV PATH=/opt/pushline/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PUSHLINE_SERVING__HOST=0.0.0.0 \
    PUSHLINE_SERVING__PORT=8000
# What changes least comes first: libraries, code, then the model as a layer of its own.
COPY --from=install /opt/pushline /opt/pushline
COPY --from=install /app /app
ARG MODEL=model
COPY ${MODEL} /model
COPY signers /signers
COPY --from=names /release.json /release.json
ARG RELEASE=unreleased
ARG MODEL_VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pushline-scoring" \
      org.opencontainers.image.description="Answers POST /score with one model" \
      org.opencontainers.image.version="${MODEL_VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      pushline.release="${RELEASE}" \
      pushline.model-version="${MODEL_VERSION}"
# By number: it needs no entry in /etc/passwd, and no home.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["python", "-m", "pushline.serving.healthcheck"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "pushline", "serve", "--model", "/model", "--keys", "/run/secrets/keys.json"]
