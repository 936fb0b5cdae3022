"""The lab folder (everything that is fetched, built or written) and the programs that stand in it."""

import os
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = Path(os.environ.get("CONFORMANCE_LAB") or Path(tempfile.gettempdir()) / "harbinger-conformance")


def folder(*parts, fresh=False):
    """A folder below the lab; with `fresh`, emptied first."""
    path = LAB.joinpath(*parts)
    if fresh:
        shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def harbinger():
    """The binary under test: `$HARBINGER`, or the release build, which is made when it is absent."""
    named = os.environ.get("HARBINGER")
    if named:
        path = Path(named).resolve()
        if not path.is_file():
            sys.exit(f"HARBINGER={named}: no such file")
        return path
    target = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
    path = ROOT / target / "release" / "harbinger"
    if not path.is_file():
        say("building the release binary")
        subprocess.run(["cargo", "build", "--release", "--bin", "harbinger"], cwd=ROOT, check=True)
    return path


def go_program(name, module, version):
    """A program installed as a Go module, once per version. `name` is its folder: two programs may have one file name."""
    place = folder("go", f"{name}-{version}")
    path = place / Path(module).name
    if not path.is_file():
        say(f"installing {name} {version}")
        subprocess.run(["go", "install", f"{module}@{version}"], env={**os.environ, "GOBIN": str(place)}, check=True)
    return path


def go_build(name, source):
    """A Go program of this repository, built when its source is newer than the program."""
    path = folder("go", name) / name
    newest = max(file.stat().st_mtime for file in source.iterdir())
    if not path.is_file() or path.stat().st_mtime < newest:
        say(f"building {name}")
        subprocess.run(["go", "build", "-o", str(path), "."], cwd=source, check=True)
    return path


def cargo_program(name, version, *options):
    """A Rust program installed by cargo, once per version."""
    place = folder("cargo", f"{name}-{version}")
    path = place / "bin" / name
    if not path.is_file():
        say(f"building {name} {version}, which takes some minutes")
        command = ["cargo", "install", f"{name}@{version}", "--locked", "--root", str(place), *options]
        # A target folder of the caller's would be locked by whatever is built there.
        env = {variable: value for variable, value in os.environ.items() if variable != "CARGO_TARGET_DIR"}
        subprocess.run(command, check=True, env=env)
    return path


def npm_program(package, version, program):
    """A program of an npm package, installed once per version."""
    place = folder("npm", f"{package}-{version}")
    path = place / "node_modules" / ".bin" / program
    if not path.exists():
        debian(npm="npm")
        say(f"installing {package} {version}")
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(place), f"{package}@{version}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def python_packages(name, *requirements):
    """A virtual environment with these packages. Gives its folder; what is in it can be imported from now on."""
    place = folder("python") / name
    done = place / "requirements"
    if not done.is_file() or done.read_text().split() != list(requirements):
        say("installing " + " ".join(requirements))
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *requirements], check=True)
        done.write_text("\n".join(requirements))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site.addsitedir(str(place / "lib" / version / "site-packages"))
    return place


def debian(**packages):
    """Sees that commands exist, given as command=package (`_` for `-`); installs the packages of those that do not."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = sorted({package for command, package in packages.items() if not shutil.which(command.replace("_", "-"), path=search)})
    if missing:
        say("installing " + " ".join(missing))
        quiet = {"stdout": subprocess.DEVNULL, "check": True, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        wait = ["-o", "DPkg::Lock::Timeout=600", "-qq"]
        # Their services must not start: the servers under test are started here, with their own configurations.
        subprocess.run(["apt-get", *wait, "update"], **quiet)
        subprocess.run(["apt-get", *wait, "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *missing], **quiet)
    os.environ["PATH"] = search


def say(message):
    """A line about what is going on, at once."""
    print(message, flush=True)
