"""Adds up what test suites reported (JUnit XML): tally.py NAME=EXITCODE:FILE...

The last line is "N passed, N failed, N skipped"; the exit status says whether all is well. A suite that
ended badly without any case to show for it, or left no report, counts as one failure: a crash must not
look like success.
"""

import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    tags = {child.tag for child in case}
    if tags & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in tags else "passed"


def suite(name, code, path):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"{name}: no report: {error}")
        cases = []
        code = code or 1
    for case in cases:
        result = outcome(case)
        count[result] += 1
        if result == "failed":
            print(f"{name}: failed: {case.get('classname', '')} {case.get('name')}".rstrip())
    if code and not count["failed"]:
        print(f"{name}: ended with status {code}")
        count["failed"] = 1
    return count


def main():
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for argument in sys.argv[1:]:
        name, rest = argument.split("=", 1)
        code, path = rest.split(":", 1)
        count = suite(name, int(code), path)
        print(f"{name}: " + ", ".join(f"{number} {word}" for word, number in count.items()))
        for word, number in count.items():
            total[word] += number
    # Nobody skips unseen in CI; a suite of nothing proves nothing.
    if not sum(total.values()):
        print("no tests ran")
        total["failed"] = 1
    print(", ".join(f"{number} {word}" for word, number in total.items()))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
