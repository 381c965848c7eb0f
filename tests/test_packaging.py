"""What is shipped beside the code: pins, scripts, the compose file, and rules for whole files."""

import functools
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from demo import prometheus
from demo.settings import DemoConfig

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
PINNED = (*REQUIREMENTS, "tests/tools/go.txt")
SCRIPTS = (*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run")
REQUIRED = ("SECRET_KEY", "CHAOSWEB_FIELD_KEY", "POSTGRES_PASSWORD")
SECRETS = (*REQUIRED, "METRICS_TOKEN")
LINES_AT_MOST = 400

# Written so that this file does not name them either.
REGISTRY_HOSTS = re.compile(
    r"(?:\b(?:test[.])?pypi[.](?:org|io)|pythonhosted[.]|registry[.](?:npmjs|yarnpkg)"
    r"|(?:proxy|sum)[.]golang[.]|(?:index|static)[.]crates[.]|(?:deb|security)[.]debian[.]"
    r"|archive[.]ubuntu[.]|repo1?[.]maven[.]|\b(?:ghcr|gcr|quay)[.]io|docker[.]pkg)\b"
)
INDEX_OPTIONS = re.compile(r"--(?:extra-)?index-url[ =]|--find-links[ =]|--trusted-host[ =]")

INLINE = re.compile(r"""\s(?:style|on[a-z]+|hx-on[:\w-]*)\s*=\s*["'{]""", re.IGNORECASE)


@functools.cache
def own_files() -> tuple[Path, ...]:
    """List what git tracks, and what it would take up."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    named = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted({path for path in named if path.is_file()}))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Return a file's text, or nothing for one that is not text."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements(path: Path) -> dict[str, str | None]:
    """Return each named package of an .in file with the version it asks for, if it asks for one."""
    wanted: dict[str, str | None] = {}
    for line in path.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?(?:==([^\s;#]+))?", line)
        if match:
            wanted[canonical(match[1])] = match[2]
    return wanted


def pins(path: Path) -> dict[str, str]:
    """Return each pinned package's block: its first line and its hashes."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", "\n" + path.read_text())[1:]
    return {canonical(re.split(r"[=\[ ;@<>!~]", block, maxsplit=1)[0]): block for block in blocks}


# --- requirements -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PINNED)
def test_every_requirement_is_pinned_by_version_and_hash(name: str) -> None:
    locked = pins(ROOT / name)
    assert locked
    loose = [
        package
        for package, block in locked.items()
        if not re.match(r"[\w.-]+==[^\s;]+", block)
        or not re.search(r"--hash=sha256:[0-9a-f]{64}", block)
    ]
    assert loose == []


@pytest.mark.parametrize("name", PINNED)
def test_the_lock_holds_what_was_asked_for(name: str) -> None:
    locked = pins(ROOT / name)
    for package, version in direct_requirements((ROOT / name).with_suffix(".in")).items():
        assert package in locked, f"{package} is not in {name}: run `make lock`"
        if version is not None:
            assert re.split(r"[\s;]", locked[package])[0].endswith(f"=={version}"), package


def test_development_uses_the_versions_of_production() -> None:
    first_lines = [
        {package: block.split()[0] for package, block in pins(ROOT / name).items()}
        for name in REQUIREMENTS
    ]
    production, development = first_lines
    assert {package: development.get(package) for package in production} == production


def test_no_file_names_a_registry_host() -> None:
    named = [
        f"{shown(path)}: {match[0]}"
        for path in own_files()
        for match in REGISTRY_HOSTS.finditer(text_of(path))
    ]
    assert named == []


@pytest.mark.parametrize("name", [*PINNED, "requirements.in", "requirements-dev.in"])
def test_requirements_leave_the_index_to_the_machine(name: str) -> None:
    assert INDEX_OPTIONS.search((ROOT / name).read_text()) is None


# --- scripts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=shown)
def test_scripts_parse_and_stop_at_the_first_error(script: Path) -> None:
    text = script.read_text()
    shells = {"#!/usr/bin/env bash": "set -euo pipefail", "#!/bin/sh": "set -eu"}
    shebang = text.splitlines()[0]
    assert shebang in shells
    assert shells[shebang] in text.splitlines()
    subprocess.run([shebang.split("/")[-1].split()[-1], "-n", str(script)], check=True)
    assert script.stat().st_mode & stat.S_IXUSR


def test_ci_runs_make_check_and_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
        "make check",
        "make test",
    ]


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert [line.split()[1] for line in listed.splitlines()] == phony[1].split()


@pytest.fixture
def env_folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "make-env.sh", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def make_env(folder: Path) -> dict[str, str]:
    subprocess.run(
        ["bash", "scripts/make-env.sh"], cwd=folder, check=True, stdin=subprocess.DEVNULL
    )
    return read_env(folder / ".env")


def read_env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_make_env_fills_every_secret_and_shows_it_to_nobody(env_folder: Path) -> None:
    made = make_env(env_folder)
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(made[name]) >= 40 for name in SECRETS)
    assert made["POSTGRES_PASSWORD"].isalnum()
    assert stat.S_IMODE((env_folder / ".env").stat().st_mode) == 0o600


def test_make_env_leaves_an_existing_file_alone(env_folder: Path) -> None:
    assert make_env(env_folder) == make_env(env_folder)


def test_secrets_are_never_shipped() -> None:
    example = read_env(ROOT / ".env.example")
    assert {name: example[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    assert ROOT / ".env" not in own_files()


# --- docker-compose.yml -------------------------------------------------------------------------


def compose_command() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        answer = subprocess.run([*plugin, "version"], check=False, capture_output=True)
        if answer.returncode == 0:
            return plugin
    missing = "docker-compose is not installed: run `make setup`"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)  # a clone without it; in CI the line above fails


def compose_config(
    folder: Path, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Ask docker-compose to read the file as it is written, with these variables and no .env."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [*compose_command(), *options, "config"],
        cwd=folder,
        env={**passed_on, **variables},
        check=False,
        capture_output=True,
        text=True,
    )


def compose_text() -> str:
    return (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("options", [(), ("--profile", "demo")], ids=["plain", "demo"])
def test_the_compose_file_is_valid(options: tuple[str, ...], tmp_path: Path) -> None:
    answer = compose_config(tmp_path, *options, **dict.fromkeys(SECRETS, "a1" * 20))
    assert answer.returncode == 0, answer.stderr
    services = YAML(typ="safe").load(answer.stdout)["services"]
    assert {"web", "control", "looks", "beat", "migrate", "postgres", "redis"} <= set(services)


@pytest.mark.parametrize("forgotten", REQUIRED)
def test_the_compose_file_refuses_to_start_without_a_secret(forgotten: str, tmp_path: Path) -> None:
    answer = compose_config(tmp_path, **{name: "a1" * 20 for name in SECRETS if name != forgotten})
    assert answer.returncode != 0
    assert "scripts/make-env.sh" in answer.stderr


def test_the_compose_file_starts_without_a_token_for_metrics(tmp_path: Path) -> None:
    answer = compose_config(tmp_path, **dict.fromkeys(REQUIRED, "a1" * 20))
    assert answer.returncode == 0, answer.stderr


def test_prometheus_of_the_compose_file_scrapes_the_web_server(tmp_path: Path) -> None:
    answer = compose_config(tmp_path, **dict.fromkeys(SECRETS, "a1" * 20))
    services = YAML(typ="safe").load(answer.stdout)["services"]
    config = YAML(typ="safe").load((ROOT / "docker" / "prometheus.yml").read_text())
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "chaosweb")
    ((target,),) = (each["targets"] for each in job["static_configs"])
    host, port = target.split(":")
    assert f":{port}" in str(services[host]["ports"])
    assert host in services["web"]["environment"]["ALLOWED_HOSTS"].split(",")
    # The entrypoint, as docker-compose hands it over, with a program that tells what it is given.
    shell, flag, script, name = services["prometheus"]["entrypoint"]
    path = tmp_path / "metrics-token"
    said = subprocess.run(
        [
            shell,
            flag,
            script.replace("$$", "$")
            .replace(job["authorization"]["credentials_file"], str(path))
            .replace("exec prometheus", "exec printf '%s\\n'"),
            name,
            "--one=1",
            "--two=2",
        ],
        env={"PATH": os.environ["PATH"], "METRICS_TOKEN": "a1" * 20},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["--one=1", "--two=2"]
    assert path.read_text() == "a1" * 20
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_example_explains_every_variable_of_the_compose_file() -> None:
    used = set(re.findall(r"\$\{(\w+)", compose_text()))
    assert used == set(read_env(ROOT / ".env.example"))


def test_every_service_is_confined_checked_and_local() -> None:
    services = YAML(typ="safe").load(compose_text())["services"]
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "healthcheck" in service or name == "web", f"{name}: web's is its image's"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


def test_the_demo_is_measured_as_make_demo_measures_it() -> None:
    ours = YAML(typ="safe").load((ROOT / "docker" / "prometheus.yml").read_text())
    theirs = json.dumps(prometheus.document(DemoConfig())).replace("127.0.0.1:", "shop:")
    wanted = json.loads(theirs)
    job = next(job for job in ours["scrape_configs"] if job["job_name"] == "envoy")
    intervals = {name: job.pop(name) for name in ("scrape_interval", "scrape_timeout")}
    assert job == wanted["scrape_configs"][0]
    assert intervals == wanted["global"]


# --- rules for whole files ----------------------------------------------------------------------


def test_no_python_file_grows_past_the_limit() -> None:
    counts = {
        shown(path): len(path.read_text().splitlines())
        for path in own_files()
        if path.suffix == ".py" and "migrations" not in path.parts
    }
    too_long = {name: count for name, count in counts.items() if count > LINES_AT_MOST}
    assert too_long == {}, f"split these by noun (at most {LINES_AT_MOST} lines)"


def test_templates_keep_styles_and_scripts_out_of_attributes() -> None:
    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in own_files()
        if path.suffix in (".html", ".svg") and path.is_relative_to(ROOT / "templates")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if INLINE.search(f" {line}")
    ]
    assert found == [], "the Content-Security-Policy refuses these"


def test_everything_vendored_has_its_licence() -> None:
    vendor = ROOT / "static" / "vendor"
    folders = [path for path in vendor.iterdir() if path.is_dir()] if vendor.is_dir() else []
    without = [
        shown(folder)
        for folder in folders
        if not any(re.match(r"(?i)(licen[sc]e|copying)", path.name) for path in folder.rglob("*"))
    ]
    assert without == []
