"""Checks the sources with clang-format or clang-tidy.

  lint.py format --tool clang-format                      all C and C++ files
  lint.py tidy   --tool clang-tidy --build build          what changed, and who includes it
  lint.py tidy   --tool clang-tidy --build build --all    all that are compiled

Changed files are those that differ from the commit before the last (or --since COMMIT). Of the
sources that include a changed header, those compiled with LibTorch, whose headers take clang-tidy
most of a minute, are left to --all, but for the header's own source. A file that passed is not
checked again until it, a header that it includes, its compile command or .clang-tidy changes.
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


def changed_files(since):
    base = since if git("rev-parse", "-q", "--verify", since) else "HEAD"
    names = git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


class Includes:
    """Which of the project's files each of them includes, by the names after #include."""

    def __init__(self):
        self.by_name = {}
        for path in files_with(HEADERS):
            for depth in range(1, len(path.parts)):
                self.by_name.setdefault("/".join(path.parts[-depth:]), set()).add(path)
        self.known = {}

    def of(self, path):
        """All headers, however far down."""
        if path not in self.known:
            self.known[path] = set()  # a circle ends here
            found = set()
            for name in re.findall(r'(?m)^#include ["<](.+)[">]', path.read_text()):
                for header in self.by_name.get(name.removeprefix("../"), ()):
                    found |= {header} | self.of(header)
            self.known[path] = found
        return self.known[path]


def is_chosen(path, arguments, changed, headers):
    return path in changed or any(
        not uses_libtorch(arguments) or header.stem == path.stem for header in headers & changed
    )


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
    changed = changed_files(options.since)
    includes = Includes()
    chosen = {
        path: arguments
        for path, arguments in commands.items()
        if options.all or is_chosen(path, arguments, changed, includes.of(path))
    }
    rules = (ROOT / ".clang-tidy").read_bytes()
    jobs = []
    for path, arguments in sorted(chosen.items()):
        digest = hashlib.sha256("\0".join(arguments).encode() + rules)
        for part in [path, *sorted(includes.of(path))]:
            digest.update(part.read_bytes())
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
    parser.add_argument("--since", default="HEAD~1")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    return check_format(options) if options.check == "format" else check_tidy(options)


if __name__ == "__main__":
    sys.exit(main())
