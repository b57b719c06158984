"""clade under Debian's own kernel, in a virtual machine: run.py --build DIRECTORY --results FILE [-- ARG...]

What this machine's kernel cannot show is tried there: control groups of version 2 that are all ours, out of memory,
Landlock without scopes. The system inside is made of this machine's own files and of nothing else; the tests in
tests/vm/guest run in it as they would here, and their report comes back over a serial line.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import image
import kernel

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
STDLIB = pathlib.Path("/usr/lib/python3.11")
PACKAGES = pathlib.Path("/usr/lib/python3/dist-packages")
NEEDED_PACKAGES = ("_pytest", "pytest", "pluggy", "iniconfig", "packaging", "attr")
UNUSED = {"test", "idlelib", "tkinter", "lib2to3", "ensurepip", "distutils", "pydoc_data", "turtledemo",
          "unittest/test", "curses", "dbm", "wsgiref", "venv"}
MEMORY = 1024  # MB
BEGUN = b"vm: begun"  # what the first process prints
BOOT_S = {"kvm": 10, "tcg": 120}  # until then: some hosts offer a KVM that hangs
ALL_S = 400

PASSWD = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nvm:x:1000:1000::/tmp:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\nvm:x:1000:\n"


def leave_out(path):
    relative = path.relative_to(STDLIB)
    return any(str(relative).startswith(name + "/") for name in UNUSED) or \
        relative.parts[0].startswith("config-") or "opt-" in path.name


def add_python(target):
    interpreter = pathlib.Path("/usr/bin/python3").resolve()
    target.program(interpreter)
    target.link("/usr/bin/python3", interpreter)
    target.tree(STDLIB, leave_out)
    for library in (STDLIB / "lib-dynload").glob("*.so"):
        if library.name.split(".")[0] in ("_ctypes", "_json", "_hashlib", "_posixshmem"):
            target.program(library)
    for name in NEEDED_PACKAGES:
        target.tree(PACKAGES / name)
        for info in PACKAGES.glob(f"{name.strip('_')}-*"):
            target.tree(info)
    if (PACKAGES / "py.py").exists():
        target.add(PACKAGES / "py.py")


def add_clade(target, build):
    for name in ("runtime/cli/clade", "runtime/prototype/clade-prototype", "runtime/relay/clade-relay",
                 "runtime/discovery/clade-discovery", "modules/native/native.clade.so",
                 "modules/external/external.clade.so"):
        target.program(build / name)
    for program in (build / "tests/integration/programs").glob("*.so"):
        target.program(program)
    target.add(build / "meson-info/intro-buildoptions.json")
    for folder in ("rootfs-templates", "seccomp-profiles", "tests/vm/guest"):
        if (SOURCE / folder).exists():
            target.tree(SOURCE / folder)
    for name in ("clade.py", "places.py", "test_inside.py"):
        target.add(SOURCE / "tests/integration" / name)


def make_image(path, build, modules, arguments):
    target = image.Image(path)
    for name in ("bin", "sbin", "lib", "lib64"):
        if pathlib.Path("/", name).is_symlink():
            target.link(name, os.readlink(f"/{name}"))
    target.directory("/tmp", 0o1777)  # no mount: the build may lie in there
    busybox = pathlib.Path(shutil.which("busybox"))
    target.program(busybox, "/bin/busybox")
    for name in ("init", "system"):
        target.entry("/init" if name == "init" else f"/etc/vm/{name}", 0o100755,
                     (HERE / name).read_bytes())
    for name in ("/bin/sh", "/sbin/busybox"):
        target.link(name, "/bin/busybox")
    for number, module in enumerate(modules):
        target.add(module, f"/etc/vm/modules/{number}-{module.name}")
    add_python(target)
    add_clade(target, build)
    for program in ("newuidmap", "newgidmap"):
        if shutil.which(program):
            target.program(shutil.which(program))
    target.add("/etc/ld.so.cache")
    target.program(next(pathlib.Path("/usr/lib").glob("*/libgcc_s.so.1")))
    target.text("/etc/passwd", PASSWD)
    target.text("/etc/group", GROUP)
    for kind in ("uid", "gid"):
        target.text(f"/etc/sub{kind}", "vm:100000:65536\n")
    target.text("/etc/vm/environment", "".join(
        f"export {name}='{value}'\n" for name, value in (
            ("CLADE_BUILD_DIR", build), ("GUEST", SOURCE / "tests/vm/guest"), ("CI", "true"),
            ("PYTHONPATH", SOURCE / "tests/integration"),
            ("INSIDE", SOURCE / "tests/integration/test_inside.py"),
            ("PYTEST_ADDOPTS", " ".join(arguments)))))
    target.finish()


def boot(accelerator, kernel_file, initramfs, console, report):
    """True when the machine came to its end; None when it never began."""
    cpu = ["-accel", "kvm", "-cpu", "host"] if accelerator == "kvm" else \
        ["-accel", "tcg,thread=multi", "-cpu", "max"]
    with open(console, "wb") as output:
        machine = subprocess.Popen(
            ["qemu-system-x86_64", *cpu, "-smp", "2", "-m", str(MEMORY), "-nodefaults", "-no-user-config",
             "-display", "none", "-no-reboot", "-serial", "stdio", "-serial", f"file:{report}",
             "-kernel", str(kernel_file), "-initrd", str(initramfs),
             "-append", "console=ttyS0 quiet panic=-1 mitigations=off psi=1"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    begin, said = time.monotonic(), b""
    with open(console, "rb") as lines:
        while True:
            running = machine.poll() is None
            text = lines.read()
            said += text
            sys.stderr.write(text.decode("utf-8", "replace").replace("\r", ""))
            sys.stderr.flush()
            waited = time.monotonic() - begin
            if not running:
                break
            if waited > ALL_S or (waited > BOOT_S[accelerator] and BEGUN not in said):
                machine.kill()
                machine.wait()
            time.sleep(0.1)
    if BEGUN not in said:
        return None
    return machine.returncode == 0


def skip(results, reason):
    """A report with one case that was not run; in CI it has failed."""
    suite = ElementTree.Element("testsuite", name="vm")
    case = ElementTree.SubElement(suite, "testcase", classname="vm", name="machine")
    kind = "failure" if os.environ.get("CI") == "true" else "skipped"
    ElementTree.SubElement(case, kind, message=reason)
    ElementTree.ElementTree(suite).write(results)
    print(f"vm: {kind}: {reason}", file=sys.stderr)
    return kind == "failure"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    build, work = options.build.resolve(), options.build.resolve() / "vm"
    work.mkdir(exist_ok=True)
    for program in ("qemu-system-x86_64", "busybox", "dpkg-deb"):
        if not shutil.which(program):
            return skip(options.results, f"{program} is not installed")
    try:
        kernel_file, modules = kernel.get(work / "kernel")
    except (kernel.Missing, OSError, subprocess.CalledProcessError) as error:
        return skip(options.results, str(error))
    make_image(work / "initramfs", build, modules, options.arguments)
    report, ended = work / "report.xml", None
    for accelerator in (["kvm"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else []) + ["tcg"]:
        print(f"vm: {kernel_file.name}, {accelerator}", file=sys.stderr)
        report.unlink(missing_ok=True)
        ended = boot(accelerator, kernel_file, work / "initramfs", work / "console", report)
        if ended is not None:
            break
        print(f"vm: nothing runs with {accelerator}", file=sys.stderr)
    options.results.unlink(missing_ok=True)
    if report.exists() and report.stat().st_size > 0:
        shutil.copy(report, options.results)
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main())
