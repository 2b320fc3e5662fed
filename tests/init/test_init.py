"""`mdp init`: a project that works outside of a checkout."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.config_file import load
from mdp.init.project import InitError, create
from mdp.ops.topics import load as load_topics

CHECKOUT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MDP_", "PYTHONPATH"))}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def test_its_configs_can_be_used_and_name_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "my-desk"
    create(folder)
    settings = load(folder / "configs" / "streaming.yaml", [])
    assert settings.name == "my-desk"
    assert settings.inference.adapters.installed["my_desk"].options == {"lookback": "1m"}
    assert settings.bus.kafka.topic in load_topics(folder / "configs" / "topics.yaml")


def test_its_tests_pass(tmp_path: Path) -> None:
    folder = tmp_path / "my-desk"
    create(folder)
    path = f"{folder}{os.pathsep}{CHECKOUT}"
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder, folder=folder, PYTHONPATH=path)


def test_its_services_are_those_of_the_checkout(tmp_path: Path) -> None:
    create(tmp_path / "desk")
    own = yaml.safe_load((tmp_path / "desk" / "docker-compose.yml").read_text(encoding="utf-8"))
    whole = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
    for name, service in own["services"].items():
        expected = whole["services"][name]
        assert service == {**expected, **({"image": "desk"} if expected["image"] == "mdp" else {})}, name
    mounts = {mount.partition(":")[0] for service in own["services"].values() for mount in service.get("volumes", [])}
    assert own["volumes"].keys() == {mount for mount in mounts if not mount.startswith(".")}


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "README.md").write_text("mine")
    with pytest.raises(InitError, match=r"README\.md exists already"):
        create(tmp_path / "desk")
    assert [path.name for path in (tmp_path / "desk").rglob("*")] == ["README.md"]


@pytest.mark.parametrize("name", ["My-desk", "1st", "a b"])
def test_a_name_that_the_config_would_refuse_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InitError, match="is not a valid project name"):
        create(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_runs_a_project(tmp_path: Path) -> None:
    run(UV, "build", "--quiet", "--offline", "--wheel", "--out-dir", tmp_path / "wheels", CHECKOUT, folder=tmp_path)
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", folder=tmp_path)
    programs = tmp_path / "venv" / "bin"
    install = (UV, "pip", "install", "--quiet", "--python", programs / "python")
    run(*install, "--require-hashes", "-r", "requirements.lock", folder=CHECKOUT)
    run(*install, "--offline", "--no-deps", *(tmp_path / "wheels").glob("*.whl"), folder=tmp_path)
    mdp, project = programs / "mdp", tmp_path / "desk"
    run(mdp, "init", "desk", folder=tmp_path)
    run(*install, "--offline", "--no-deps", "--editable", ".", folder=project)
    try:
        run(mdp, "up", folder=project)
        run(mdp, "topics", "apply", folder=project)
        run(mdp, "store", "migrate", folder=project)
        run(mdp, "stream", "produce", "--provider", "synthetic", "--count", "20000", folder=project)
        run(mdp, "stream", "run", "--until-end", folder=project)
        found = run(mdp, "store", "signals", "--symbol", "SPY", "--format", "csv", folder=project)
    finally:
        run(mdp, "down", folder=project)
    assert "desk" in {row["adapter"] for row in csv.DictReader(io.StringIO(found))}
    assert (project / ".mdp" / "recovery").is_dir()
