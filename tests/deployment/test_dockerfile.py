import re
import shlex
import tomllib

from tests.deployment.compose_file import PROJECT

TEXT = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
INSTRUCTIONS = [line.partition(" ")[::2] for line in TEXT.splitlines() if re.match(r"[A-Z]+ ", line)]


def arguments(instruction: str) -> list[str]:
    return [text.strip() for name, text in INSTRUCTIONS if name == instruction]


def in_context() -> set[str]:
    """What .dockerignore lets through."""
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


def test_the_context_names_what_there_is() -> None:
    assert all((PROJECT / name).exists() for name in in_context())


def test_the_context_holds_every_package_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["uv"]["build-backend"]["module-name"]) <= in_context()


def test_what_is_copied_is_in_the_context() -> None:
    copied = [shlex.split(text)[:-1] for text in arguments("COPY") if not text.startswith("--from")]
    assert {source for sources in copied for source in sources if source != "."} <= in_context()


def test_stages_that_are_copied_from_are_built() -> None:
    stages = {text.split(" AS ")[1] for text in arguments("FROM") if " AS " in text}
    used = re.findall(r"--from=(\w+)", TEXT)
    assert used
    assert set(used) <= stages


def test_packages_are_installed_with_hashes_or_from_the_image_itself() -> None:
    installs = [part for text in arguments("RUN") for part in text.split("&&") if re.search("pip (install|sync)", part)]
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--offline" in install for install in installs)


def test_the_image_holds_what_the_lock_names_and_not_what_put_it_there() -> None:
    [install] = [text for text in arguments("RUN") if "uv pip sync" in text]
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert install.split("&&")[-1].split() == ["uv", "pip", "uninstall", "--python", "/opt/mdp/bin/python", "uv"]
    assert re.search(r"^uv==", lock, re.MULTILINE)
    assert not re.search(r"^(pytest|mypy|ruff)==", lock, re.MULTILINE), "tools of development have a lock of their own"


def test_the_worker_is_not_root_and_may_write_only_its_state() -> None:
    [user] = arguments("USER")
    assert user == "mdp"
    assert arguments("VOLUME") == ["/var/lib/mdp"]
    assert "install -d -o mdp -g mdp -m 0700 /var/lib/mdp" in TEXT
    assert arguments("ENTRYPOINT") == ['["mdp"]']
