# One image for the web server, the workers, beat and the migrations: docker-compose.yml gives each
# its command.

FROM python:3.11-slim-bookworm AS builder
WORKDIR /build
COPY requirements.txt .
# The virtual environment stays without pip: the builder's own pip fills it.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --only-binary :all: --require-hashes --requirement requirements.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATIC_ROOT=/srv/static
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent chaosweb
COPY --from=builder /opt/venv /opt/venv
WORKDIR /app
COPY . .
# Collecting static files loads the settings, which demand secrets: these live for this line only.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(48))')" \
    CHAOSWEB_FIELD_KEY="$(python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')" \
    DATABASE_URL=sqlite:/tmp/build.sqlite3 \
    REDIS_URL=redis://localhost:6379/0 \
    ALLOWED_HOSTS=localhost \
    BASE_URL=http://localhost:8000 \
    python manage.py collectstatic --noinput \
 && rm -f /tmp/build.sqlite3
USER chaosweb
EXPOSE 8000
# For the web server; docker-compose.yml checks the workers and beat each in its own way.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/', headers={'Host': 'localhost'}); raise SystemExit(c.getresponse().status >= 500)"]
CMD ["gunicorn", "chaosweb.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--access-logfile", "-"]
