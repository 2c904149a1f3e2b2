"""Checks the sources with clang-format or clang-tidy.

  lint.py format --tool clang-format                      all C and C++ files
  lint.py tidy   --tool clang-tidy --build build          the quick ones and the changed ones
  lint.py tidy   --tool clang-tidy --build build --all    all that are compiled

Quick files are those compiled without LibTorch, whose headers take clang-tidy most of a minute.
Changed files are those that differ from the commit before the last. A file that passed is not
checked again until it, a header, its compile command or .clang-tidy changes.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("host", "sdk", "plugins", "tests")
HEADERS, SOURCES = (".h", ".hpp"), (".c", ".cpp")
FAULTY_ON_PURPOSE = ROOT / "tests/bad_plugins"  # formatted, but not tidy


def files_with(suffixes):
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.suffix in suffixes)


def check_format(options):
    files = files_with(HEADERS + SOURCES)
    result = subprocess.run([options.tool, "--dry-run", "-Werror", *files], check=False)
    if result.returncode:
        print("run: clang-format -i on the files named above")
    else:
        print(f"{len(files)} files are formatted")
    return result.returncode


def arguments_for_clang(command):
    """The compile command's arguments without what is gcc's or ccache's alone."""
    words = shlex.split(command)
    while words and not words[0].startswith("-"):
        words.pop(0)
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif word.endswith("cmake_pch.hxx"):
            # gcc's precompiled header beside it would be taken for clang's.
            kept.append(str(ROOT / "host/cmake/torch_pch.h"))
        elif word not in ("-c", "-MD", "-MMD", "-Winvalid-pch", "-Werror"):
            kept.append(word)
    return kept


def sources_of(path):
    """A unity build compiles a file that includes the sources."""
    if "Unity" not in path.parts:
        return [path]
    return [pathlib.Path(name) for name in re.findall('#include "(.*)"', path.read_text())]


def compiled_files(build):
    """{file: arguments} of the project's own sources, from CMake's compilation database."""
    entries = json.loads((build / "compile_commands.json").read_text())
    wanted = {path for path in files_with(SOURCES) if FAULTY_ON_PURPOSE not in path.parents}
    commands = {}
    for entry in entries:
        compiled = pathlib.Path(entry["directory"], entry["file"]).resolve()
        arguments = [
            word
            for word in arguments_for_clang(entry["command"])
            if pathlib.Path(word).resolve() != compiled
        ]
        for path in sources_of(compiled):
            if path in wanted:
                commands.setdefault(path, arguments)
    return commands


def uses_libtorch(arguments):
    return any("torch/include" in word or "torch_pch" in word for word in arguments)


def git(*arguments):
    result = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    return result.stdout.splitlines() if result.returncode == 0 else []


def changed_files():
    base = "HEAD~1" if git("rev-parse", "-q", "--verify", "HEAD~1") else "HEAD"
    names = git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


def key_of_headers():
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for header in files_with(HEADERS):
        digest.update(header.read_bytes())
    return digest.hexdigest()


def tidy(options, path, arguments, stamp):
    command = [options.tool, "--quiet", str(path), "--", *arguments]
    result = subprocess.run(command, cwd=options.build, capture_output=True, text=True)
    if result.returncode:
        return path, result.stdout + re.sub(r"(?m)^\d+ warnings?.*\n", "", result.stderr)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    return path, ""


def check_tidy(options):
    commands = compiled_files(options.build)
    if not commands:
        sys.exit(f"no sources in {options.build}/compile_commands.json")
    changed = changed_files()
    chosen = {
        path: arguments
        for path, arguments in commands.items()
        if options.all or path in changed or not uses_libtorch(arguments)
    }
    headers = key_of_headers()
    jobs = []
    for path, arguments in sorted(chosen.items()):
        digest = hashlib.sha256("\0".join([headers, *arguments]).encode() + path.read_bytes())
        stamp = options.build / "lint" / digest.hexdigest()
        if not stamp.exists():
            jobs.append((path, arguments, stamp))
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, text in pool.map(lambda job: tidy(options, *job), jobs):
            if text:
                failures += 1
                print(f"{path.relative_to(ROOT)}:\n{text}", flush=True)
    print(f"clang-tidy: {len(chosen)} files, {len(jobs)} of them new or changed, {failures} failed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=("format", "tidy"))
    parser.add_argument("--tool", required=True)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    return check_format(options) if options.check == "format" else check_tidy(options)


if __name__ == "__main__":
    sys.exit(main())
