"""Runs every fuzz target for a while: ./dev fuzz [SECONDS].

A target is an executable BUILD/tests/fuzz/fuzz_NAME (libFuzzer); its kept corpus is tests/fuzz/corpus/NAME.
The target works on a copy, so the kept corpus only grows when somebody decides so. Findings stay in
BUILD/findings. Three targets run at a time.
"""

import argparse
import concurrent.futures
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
JOBS = 3
GRACE = 120  # seconds beyond the time asked for: reading the corpus, writing a finding


def fuzz(target, seconds, findings):
    name = target.name.removeprefix("fuzz_")
    corpus = HERE / "corpus" / name
    dictionary = HERE / f"{name}.dict"
    with tempfile.TemporaryDirectory(prefix="clade-fuzz-") as work:
        if corpus.is_dir():
            shutil.copytree(corpus, work, dirs_exist_ok=True)
        command = [str(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
                   "-print_final_stats=1", f"-artifact_prefix={findings}/{name}-"]
        if dictionary.exists():
            command.append(f"-dict={dictionary}")
        command.append(work)
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, timeout=seconds + GRACE, check=False)
        except subprocess.TimeoutExpired as error:
            return name, f"did not end {GRACE} s after its time", error.output or b""
    output = result.stdout
    runs = re.search(rb"stat::number_of_executed_units:\s*(\d+)", output)
    # A target that never got to run its function has proved nothing.
    if result.returncode:
        return name, f"ended with status {result.returncode}", output
    if not runs or not int(runs[1]):
        return name, "ran nothing", output
    print(f"{name}: {int(runs[1])} runs in {seconds} s, nothing found", flush=True)
    return name, None, output


def build_targets(build):
    """The executables of tests/fuzz, built; the rest of the project is not."""
    subprocess.run(["ninja", "-C", str(build), "--quiet", "build.ninja"], check=True)
    described = json.loads((build / "meson-info" / "intro-targets.json").read_text())
    targets = sorted(pathlib.Path(target["filename"][0]) for target in described
                     if target["type"] == "executable" and target["name"].startswith("fuzz_"))
    if targets:
        subprocess.run(["ninja", "-C", str(build), "--quiet",
                        *[str(target.relative_to(build)) for target in targets]], check=True)
    return targets


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", required=True, type=int)
    options = parser.parse_args()

    targets = build_targets(options.build)
    if not targets:
        print("there are no fuzz targets")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    findings = options.build / "findings"
    findings.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(lambda target: fuzz(target, options.seconds, findings), targets))
    failed = 0
    for name, trouble, output in results:
        if trouble:
            failed += 1
            print(output.decode(errors="replace")[-8000:])
            print(f"{name}: {trouble}; inputs in {findings}")
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
