"""What the documents show compiles, and their JSON is JSON. TAP, one case per block.

Each block of C is a file of its own and is built as its reader would build it: from clade/module.h alone,
as a shared object, with warnings as errors. Set CC to use another compiler.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
         "-I", str(TOP / "modules" / "include")]


def compile_c(text):
    with tempfile.TemporaryDirectory(prefix="clade-doc-") as work:
        source = pathlib.Path(work) / "block.c"
        source.write_text(text, encoding="utf-8")
        command = [os.environ.get("CC", "cc"), *FLAGS, "-o", f"{work}/block.so", str(source)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return "" if result.returncode == 0 else result.stdout


def parse_json(text):
    # A member on its own stands in a document as `"key": ...`.
    if not text.lstrip().startswith(("{", "[")):
        text = "{" + text + "}"
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return ""


def blocks(path):
    text = path.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        language, body = match.groups()
        if language == "c":
            yield line, "C", compile_c, body
        elif language == "json":
            yield line, "JSON", parse_json, body
        for document in HERE_DOCUMENT.finditer(body):
            yield line, "JSON", parse_json, document.group(1)


def main():
    count = failed = 0
    for path in sorted([TOP / "README.md", *TOP.glob("docs/*.md")]):
        if not path.exists():
            continue
        for line, what, check, body in blocks(path):
            count += 1
            problem = check(body)
            failed += bool(problem)
            print(f"{'not ok' if problem else 'ok'} {count} - "
                  f"{path.relative_to(TOP)}:{line} {what}")
            for words in problem.splitlines():
                print("#", words)
    print(f"1..{count}")
    return 1 if failed else 0


sys.exit(main())
