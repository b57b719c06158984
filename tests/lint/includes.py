"""Includes point downwards only, and heavy libraries stay where they were put. TAP, one case per file.

The tables are the architecture in short: what a folder may see of the project, and which folders may
see a library. Whatever is not listed is refused, so a new folder has to be thought about here first.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
API = "clade/module.h"

# The longest matching prefix of a file's path decides.
MAY_SEE = {
    "base": {"base"},
    "isolation": {"base", "isolation"},
    # A module lives by the public header; base is linked into it, the rest of clade is not there.
    "modules": {"base", "modules", API},
    "runtime/protocol": {"base", "isolation", "runtime/protocol", API},
    "runtime/paths": {"base", "runtime/paths"},
    "runtime/catalogue": {"base", "isolation", "runtime/protocol", "runtime/catalogue", API},
    "runtime/config": {"base", "isolation/ladder.h", "runtime/catalogue", "runtime/config", API},
    "runtime/profile": {"base", "isolation/seccomp", "runtime/config", "runtime/profile"},
    "runtime/compile": {"base", "isolation", "runtime/protocol", "runtime/paths",
                        "runtime/catalogue", "runtime/config", "runtime/profile",
                        "runtime/compile", API},
    # What runs beside or below tenants sees no supervisor, no configuration, no compiler. Prototype and
    # worker are one program: a worker is a clone.
    "runtime/relay": {"base", "runtime/protocol", "runtime/relay"},
    "runtime/discovery": {"base", "isolation", "runtime/protocol", "runtime/discovery", API},
    "runtime/worker": {"base", "isolation", "runtime/protocol", "runtime/prototype",
                       "runtime/worker", API},
    "runtime/prototype": {"base", "isolation", "runtime/protocol", "runtime/worker",
                          "runtime/prototype", API},
    "runtime/supervisor": {"base", "isolation", "runtime/protocol", "runtime/paths",
                           "runtime/catalogue", "runtime/config", "runtime/compile",
                           "runtime/supervisor", API},
    "runtime/cli": {"base", "isolation", "runtime/protocol", "runtime/paths", "runtime/catalogue",
                    "runtime/config", "runtime/compile", "runtime/supervisor", "runtime/cli", API},
    # Written as a stranger would write them.
    "examples": {"examples", API},
    "tests": {"base", "isolation", "modules", "runtime", "tests", API},
}

# Libraries that parse, allocate and pull in more: kept out of the prototype and of what it links.
LIBRARIES = {
    r"jansson\.h": {"runtime/config", "runtime/profile", "runtime/compile", "runtime/supervisor", "runtime/cli", "tests"},
    r"systemd/.*": {"runtime/supervisor", "runtime/cli", "runtime/catalogue", "tests"},
    r"seccomp\.h": {"isolation/seccomp", "tests"},
    r"libmount.*": {"runtime/compile", "tests"},
    r"libsmartcols.*": {"runtime/cli"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def below(path, folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def complaints(path):
    owner = max((folder for folder in MAY_SEE if below(path, {folder})), key=len, default=None)
    if owner is None:
        return [f"{path}: no rule for this folder in tests/lint/includes.py"]
    found = []
    for quote, name in INCLUDE.findall((TOP / path).read_text()):
        if quote == '"':
            home = "modules/include" if name == API else ""
            beside = (TOP / path).parent / name
            if owner == "tests" and beside.exists():
                continue  # a fixture of these tests only
            generated = name.endswith(".inc.h") or (TOP / (name + ".in")).exists()
            if not (TOP / home / name).exists() and not generated:
                hint = ", written from the top" if beside.exists() else ""
                found.append(f'{path}: "{name}" is no file of the project{hint}')
            elif not generated and not below(name, MAY_SEE[owner]):
                found.append(f'{path}: {owner} must not see "{name}"')
        for pattern, folders in LIBRARIES.items():
            if re.fullmatch(pattern, name) and not below(path, folders):
                found.append(f"{path}: <{name}> is for {', '.join(sorted(folders))}")
    return found


def sources():
    for folder in sorted({name.split("/")[0] for name in MAY_SEE}):
        for path in sorted((TOP / folder).rglob("*.[ch]")):
            yield path.relative_to(TOP).as_posix()


def main():
    files = list(sources())
    print(f"1..{len(files)}", flush=True)
    bad = 0
    for number, path in enumerate(files, 1):
        found = complaints(path)
        bad += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {path}")
        for line in found:
            print(f"# {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
