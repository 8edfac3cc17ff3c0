"""Helm for the tests of the chart. ``python -m tests.cluster.charting`` builds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.needs import need

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "sagadsl"
PROGRAM = ROOT / "build" / "helm" / "helm"
VERSION = "v3.22.0"


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm, without anything of the user's."""
    (program,) = need("helm")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    words = [program, *map(str, arguments)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=90, check=False)


def rendered(values: dict[str, Any], folder: Path, kubernetes: str) -> list[dict[str, Any]]:
    """Return the manifests of the chart with these values."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    ran = helm("template", "sagas", CHART, "-f", file, "--kube-version", kubernetes)
    assert ran.returncode == 0, ran.stderr
    return [each for each in yaml.safe_load_all(ran.stdout) if each is not None]


def build() -> int:
    """Build Helm from its Go module, unless it is there; return the exit code."""
    if PROGRAM.exists():
        return 0
    go = shutil.which("go", path=str(Path(sys.executable).parent)) or shutil.which("go")
    if go is None:
        print("error: Helm is built from its Go module: `make setup` installs Go", file=sys.stderr)
        return 1
    print(f"building Helm {VERSION} for the tests; the first time takes minutes", flush=True)
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOBIN": str(PROGRAM.parent), "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
    return subprocess.run([go, "install", f"helm.sh/helm/v3/cmd/helm@{VERSION}"], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(build())
