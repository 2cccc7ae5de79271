# One image with one entry point (`nightsort night`, `sidecar`, `pages`, …; see deploy/image/entry.sh):
#   docker build -t nightsort .
# and a larger one that can train, too:
#   docker build -t nightsort-train --target train .
# docs/deploy.md explains both, and how to give the base image by its digest.
ARG PYTHON_IMAGE=python:3.13.14-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
COPY requirements-serve.lock /build/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r /build/requirements-serve.lock \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +

# the list of what is inside
FROM packages AS contents
COPY deploy/image/sbom.lock deploy/image/sbom.py this_python.py /build/
RUN python -m venv --without-pip /build/venv \
    && python -m pip --python /build/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r /build/sbom.lock \
    && /build/venv/bin/cyclonedx-py environment --output-reproducible -o /build/packages.json /opt/venv/bin/python \
    && python /build/sbom.py /build/packages.json /opt/sbom.cdx.json

FROM ${PYTHON_IMAGE} AS program
# PAGES_SECRETS is the path of a file, no secret itself
# hadolint ignore=DL3064
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUTF8=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    DATA_DIR=/data \
    LOG_DIR=/state/logs \
    MODEL_DIR=/state/releases \
    PAGES_SECRETS=/state/pages-secrets.json
COPY --from=packages /opt/venv /opt/venv
COPY --from=contents /opt/sbom.cdx.json /opt/sbom.cdx.json
COPY . /app
# any user may be told to run it; what is mounted there brings its own rights
RUN ln -s /app/deploy/image/entry.sh /usr/local/bin/nightsort \
    && mkdir -m 1777 /data /state \
    && python -m compileall -q --invalidation-mode unchecked-hash /app
WORKDIR /app
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "/app/deploy/image/healthcheck.py"]
ENTRYPOINT ["nightsort"]
CMD ["night"]

FROM program AS train
# the Python in the environment has no pip
RUN /usr/local/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir -r /app/requirements.txt
USER 10001:10001

# the last stage is what is built when none is named
FROM program
ARG VERSION=0.2.0
ARG REVISION=unknown
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.title="Nightsort" \
      org.opencontainers.image.description="Sorts a day's product photos overnight" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
USER 10001:10001
