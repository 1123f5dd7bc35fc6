# label-studio-hitl alone; Label Studio runs beside it (docker-compose.yml).
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HITL_DATA_DIR=/data HITL_HOST=0.0.0.0 HITL_PORT=9090

# the packages change seldom, so they are a layer of their own; `make lock` writes this part of requirements.lock
WORKDIR /src
COPY docs/deploy/image.lock ./
RUN pip install --no-deps --require-hashes -r image.lock

COPY pyproject.toml README.md LICENSE ./
COPY ml_backend ml_backend
COPY sampling sampling
COPY feedback feedback
RUN pip install --no-deps --no-build-isolation . \
    && useradd --create-home --uid 10001 hitl && mkdir /data && chown hitl /data

USER hitl
WORKDIR /data
VOLUME /data
EXPOSE 9090
HEALTHCHECK --interval=10s --timeout=2s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9090/health', timeout=2)"]
CMD ["hitl", "serve"]
