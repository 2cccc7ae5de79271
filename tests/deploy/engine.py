"""Building the image and running it by buildah and podman, where nothing can be pulled.

The base image is put together by debootstrap: the same Debian with Debian's own Python of the same version in the place of
the official one. Everything after it is done by the Dockerfile itself.
"""

import re
import resource
import shutil
import subprocess
from pathlib import Path

from settings import ROOT

PROGRAMS = ("buildah", "crun", "debootstrap", "podman")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
WITH = "python3,python3-venv,python3-pip,ca-certificates,netbase,tzdata"
NOT_IN_SLIM = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/lib/apt/lists",
    "var/cache/apt/archives",
)
IMAGE = "localhost/nightsort"

MOST = 1024
"""Open files and processes: nothing here needs more."""


class Engine:
    """A store of images of its own, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def build(self) -> None:
        """Make the base and, from the Dockerfile, the image."""
        (base,) = re.findall(
            r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE
        )
        self._make_base(base)
        options = ["--pull-never", "--isolation", "chroot", "--format", "docker", "--tag", IMAGE]
        # whose certificates the way to the package index may need
        options += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.exists() else []
        self._buildah("bud", *options, str(ROOT))

    def mount(self) -> Path:
        """The image's files, laid out."""
        return Path(self._buildah("mount", self._buildah("from", "--pull-never", IMAGE)))

    def close(self) -> None:
        """Give everything back."""
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        self.podman("rm", "--all", "--force", "--time", "0")
        self._buildah("rmi", "--all", "--force")
        shutil.rmtree(self._folder)

    def run(
        self,
        name: str,
        *arguments: str,
        places: Path,
        user: str = "10001:10001",
        env: dict[str, str] | None = None,
    ) -> None:
        """Start a container: read-only but for /tmp and the folders in `places`, without a network of its own or rights."""
        options = [
            "--detach",
            "--name",
            name,
            "--read-only",
            "--read-only-tmpfs=false",
            "--tmpfs",
            "/tmp",
            "--user",
            user,
        ]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"]
        # health checks go by timers of systemd, which may not be there
        options += ["--cgroups", "disabled", "--no-healthcheck", *_own_limits()]
        for folder in ("data", "state"):
            options += ["--volume", f"{places / folder}:/{folder}"]
        for setting, value in (env or {}).items():
            options += ["--env", f"{setting}={value}"]
        self.podman("run", *options, IMAGE, *arguments)

    def wait(self, name: str) -> int:
        """How a container ended."""
        return int(self.podman("wait", name))

    def output(self, name: str) -> str:
        """What a container has said."""
        return self.podman("logs", name, with_errors=True)

    def podman(self, *arguments: str, with_errors: bool = False) -> str:
        """What podman says. Raises AssertionError with its words."""
        command = [*_plain_cgroups(), "podman", *self._store, "--cgroup-manager", "cgroupfs", *arguments]
        return _said(command, with_errors=with_errors)

    def _make_base(self, name: str) -> None:
        release = name.rpartition("-")[2]
        base = self._folder / "base"
        mirror = _said(
            ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
        ).splitlines()[0]
        _said(["debootstrap", "--variant=minbase", f"--include={WITH}", release, str(base), mirror])
        for path in NOT_IN_SLIM:
            shutil.rmtree(base / path)
        (base / "usr/local/bin/python").symlink_to("../../bin/python3")
        container = self._buildah("from", "scratch")
        self._buildah("add", container, str(base), "/")
        self._buildah(
            "config", "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", container
        )
        self._buildah("commit", "--rm", container, f"docker.io/library/{name}")
        shutil.rmtree(base)

    def _buildah(self, *arguments: str) -> str:
        return _said(["buildah", *self._store, *arguments])


def _said(command: list[str], *, with_errors: bool = False) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return (done.stdout + (done.stderr if with_errors else "")).strip()


def _own_limits() -> list[str]:
    """Limits that even a root with few rights may set, where podman would raise them."""
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    most = {name: min(resource.getrlimit(limit)[1], MOST) for name, limit in limits.items()}
    return [word for name, limit in most.items() for word in ("--ulimit", f"{name}={limit}:{limit}")]


def _plain_cgroups() -> list[str]:
    """crun refuses control groups of both versions side by side: show it a view without them. Nothing is limited here."""
    if not Path("/sys/fs/cgroup/unified").exists():
        return []
    hide = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", hide, "sh"]
