"""Debian's kernel, from its package, without installing it: what is installed already, what was unpacked before,
or what apt fetches for us."""

import os
import pathlib
import re
import subprocess

MODULES = ("configfs", "null_blk")


class Missing(Exception):
    """There is no kernel to be had; the text says why."""


def quiet(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def package():
    """The name behind linux-image-amd64: linux-image-6.1.0-NN-amd64."""
    shown = quiet(["apt-cache", "depends", "linux-image-amd64"], "/").stdout
    found = re.search(r"Depends: (linux-image-\S+)", shown)
    return found.group(1) if found else None


def download(cache):
    name = package()
    if not name and os.geteuid() == 0:
        quiet(["apt-get", "update", "-qq"], "/")
        name = package()
    if not name:
        raise Missing("apt knows no linux-image-amd64 (apt-get update)")
    fetched = quiet(["apt-get", "download", "-qq", name], cache)
    files = sorted(cache.glob(f"{name}_*.deb"))
    if not files:
        raise Missing(f"apt-get download {name}: {fetched.stderr.strip()[-300:]}")
    return files[-1]


def unpack(archive, cache):
    """The kernel and the few modules; everything else of the package stays packed."""
    patterns = ["./boot/vmlinuz-*", *(f"*/{module}.ko*" for module in MODULES)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)],
                          stdout=subprocess.PIPE) as unpacking:
        subprocess.run(["tar", "-x", "-C", str(cache), "--wildcards", *patterns],
                       stdin=unpacking.stdout, check=True)
    archive.unlink()


def find(cache):
    """The kernel's file, and its modules in the order in which they have to be loaded."""
    for top in (pathlib.Path("/"), cache):
        for kernel in sorted((top / "boot").glob("vmlinuz-6.1.*-amd64"), reverse=True):
            release = kernel.name.partition("-")[2]
            modules = [next((top / "lib/modules" / release).rglob(f"{name}.ko"), None)
                       for name in MODULES]
            if os.access(kernel, os.R_OK) and all(modules):
                return kernel, modules
    return None


def get(cache):
    cache.mkdir(parents=True, exist_ok=True)
    found = find(cache)
    if not found:
        unpack(download(cache), cache)
        found = find(cache)
    if not found:
        raise Missing("the kernel's package has another layout than expected")
    return found
