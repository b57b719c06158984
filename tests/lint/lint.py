"""Everything that can be said about the sources without running them: ./dev lint.

Each check is a function that returns its complaints; one line for each check at the end, and an exit
status. --build is a directory configured for clang, for its compile_commands.json.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("base", "isolation", "modules", "runtime", "examples", "tests")
LINES_MAX = 600  # what can be read in one sitting
JOBS = min(os.cpu_count() or 1, 4)


def files(*patterns):
    for folder in FOLDERS:
        for pattern in patterns:
            yield from sorted((TOP / folder).rglob(pattern))


def run(command, **options):
    result = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False, **options)
    return result.returncode, result.stdout


def formatting(_build):
    """clang-format changes nothing"""
    names = [str(path) for path in files("*.c", "*.h")]
    code, output = run(["clang-format", "--dry-run", "-Werror", *names])
    return [output.strip()] if code else []


def length(_build):
    """a file is one idea: at most 600 lines"""
    found = []
    for path in [*files("*.c", "*.h", "*.py"), TOP / "dev"]:
        lines = len(path.read_bytes().splitlines())
        if lines > LINES_MAX:
            found.append(f"{path.relative_to(TOP)}: {lines} lines; at most {LINES_MAX}")
    return found


def includes(_build):
    """includes point downwards only"""
    code, output = run([sys.executable, "-B", "tests/lint/includes.py"])
    return [line[2:] for line in output.splitlines() if line.startswith("# ")] if code else []


def words(_build):
    """no notes to self in what is shipped"""
    found = []
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    for path in files("*.c", "*.h", "*.py", "meson.build"):
        if path == pathlib.Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(TOP)}:{number}: {line.strip()}")
    return found


def tidy(build):
    """clang-tidy, .clang-tidy"""
    # Headers that are made by the build must be there.
    targets = [t["filename"] for t in introspect(build, "targets") if t["type"] == "custom"]
    generated = [name for names in targets for name in names if name.endswith(".h")]
    if generated:
        code, output = run(["ninja", "-C", str(build),
                            *[os.path.relpath(name, build) for name in generated]])
        if code:
            return [output.strip()]
    units = json.loads((build / "compile_commands.json").read_text())
    names = {(build / unit["file"]).resolve() for unit in units}
    names = sorted(str(name) for name in names if TOP in name.parents)  # llhttp is somebody else's

    def one(name):
        return run(["clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", str(build), name])

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(one, names))
    noise = re.compile(r"^\d+ warnings? (generated|treated as error).*$|^Suppressed .*$", re.MULTILINE)
    return [noise.sub("", output).strip() for code, output in results if code]


def cppcheck(build):
    """cppcheck, tests/lint/cppcheck.suppressions"""
    cache = build / "cppcheck"
    cache.mkdir(exist_ok=True)
    code, output = run(["cppcheck", "--quiet", f"-j{JOBS}", "--std=c11", "--language=c",
                        "--enable=warning,performance,portability", "--inline-suppr",
                        "--suppressions-list=tests/lint/cppcheck.suppressions",
                        f"--cppcheck-build-dir={cache}", "--error-exitcode=1", "--force",
                        "-D_GNU_SOURCE", "-D__x86_64__", "-D__linux__", "-I.", "-Imodules/include",
                        *[str(path.relative_to(TOP)) for path in files("*.c")]])
    return [output.strip()] if code else []


def introspect(build, what):
    return json.loads((build / "meson-info" / f"intro-{what}.json").read_text())


CHECKS = (formatting, length, words, includes, cppcheck, tidy)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    build = parser.parse_args().build
    # meson may have to look again: sources have come and gone since it was configured
    code, output = run(["ninja", "-C", str(build), "--quiet", "build.ninja"])
    if code:
        print(output)
        return 1
    failed = 0
    for check in CHECKS:
        begin = time.monotonic()
        found = check(build)
        for complaint in found:
            print(complaint)
        failed += bool(found)
        print(f"{'FAIL' if found else 'ok':5} {check.__name__:11} {time.monotonic() - begin:5.1f} s  "
              f"{check.__doc__}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
