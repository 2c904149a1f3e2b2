"""Plugins as a user gets them: from a file, a folder, a signed index on a disk or a web server; what
is refused, by name; and that none of their code runs on the way."""

import base64
import contextlib
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import torch
from support import ParityTest, main, models

SOURCES = Path(__file__).resolve().parent.parent / "plugins_of_others"
SDK = SOURCES.parent.parent / "sdk" / "include"


def with_version(library, version):
    """The same plugin as if it was built with another version: the stamp is a text of one length."""
    old, new = b"1.0.0\0", version.encode() + b"\0"
    assert len(new) <= 32
    at = library.index(b"TENONPLG")
    stamp = library[at : at + 256].replace(old.ljust(len(new), b"\0"), new.ljust(len(old), b"\0"), 1)
    return library[:at] + stamp + library[at + 256 :]


class PluginInstallTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        built = cls.workspace.new_path(".so")
        command = ["c++", "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden", "-I", SDK]
        subprocess.run([*command, SOURCES / "my_scale.cpp", "-o", built], check=True)
        cls.library = built.read_bytes()
        cls.other = cls.library.replace(b"acme.scale\0", b"acme.scald\0")

    def setUp(self):
        self.home = self.workspace.new_folder()
        self.data = self.home / "data" / "tenon"
        self.plugins = self.data / "plugins"
        self.environment = {**os.environ, "XDG_DATA_HOME": str(self.home / "data")}

    def plugin(self, *arguments):
        return self.workspace.tenon("plugin", *arguments, env=self.environment)

    def plugin_json(self, *arguments):
        return self.workspace.tenon_json("plugin", *arguments, env=self.environment)

    def assert_refused(self, text, *arguments, hint=""):
        before = self.installed()
        done = self.plugin(*arguments)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)
        self.assertIn(hint, done.stderr)
        self.assertEqual(self.installed(), before)

    def installed(self):
        """The bytes of all in the plugin folder."""
        if not self.plugins.exists():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.plugins.iterdir())}

    def write(self, folder, name, library):
        (folder / name).write_bytes(library)
        return folder / name

    def library_file(self, version="1.0.0"):
        library = with_version(self.library, version)
        return self.write(self.workspace.new_folder(), "my_scale.so", library)

    def index_folder(self, **files):
        folder = self.workspace.new_folder()
        about = {"plugins": {"acme.scale": {"summary": "Scales", "homepage": "https://acme.example"}}}
        (folder / "about.json").write_text(json.dumps({"name": "Acme", "license": "MIT", **about}))
        for version, library in files.items():
            self.write(folder, f"acme.scale-{version}.so", library)
        return folder

    def make_index(self, folder, key=None):
        key = key or self.home / "key.pem"
        return self.plugin_json("index", folder, "--key", key)["key"]

    # From files.

    def test_a_file_is_copied_with_a_record_and_found(self):
        file = self.library_file()
        (done,) = self.plugin_json("install", file)["installed"]
        hash_ = hashlib.sha256(self.library).hexdigest()
        self.assertEqual(done["path"], str(self.plugins / "acme.scale.so"))
        self.assertEqual((done["sha256"], done["replaced"]), (hash_, None))
        self.assertEqual((self.plugins / "acme.scale.so").read_bytes(), self.library)
        record = json.loads((self.plugins / "acme.scale.json").read_text())
        self.assertEqual((record["from"], record["sha256"]), (str(file), hash_))
        listed = self.workspace.tenon_json("plugins", env=self.environment)["plugins"]
        (found,) = [plugin for plugin in listed if plugin["id"] == "acme.scale"]
        self.assertEqual((found["origin"], found["loaded"]), ("user", False))
        (line,) = self.plugin_json("list")["plugins"]
        self.assertEqual((line["id"], line["from"], line["problem"]), ("acme.scale", str(file), None))
        again = self.plugin("install", file)
        self.assertEqual(again.stdout, "acme.scale 1.0.0 is installed already\n")

    def test_no_code_runs_and_a_file_that_would_run_some_is_refused(self):
        folder = self.workspace.new_folder()
        mark = self.workspace.new_path()
        self.environment["TENON_MARK"] = str(mark)
        command = ["c++", "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden", "-I", SDK]
        library = folder / "marked.so"
        subprocess.run([*command, SOURCES / "marked.cpp", "-o", library], check=True)
        self.assert_refused("rule no-static-constructors", "install", library)
        self.assert_refused("rule no-static-constructors", "install", folder)
        self.assertFalse(mark.exists())

    def test_what_is_no_plugin_or_could_be_changed_by_others_is_refused(self):
        folder = self.workspace.new_folder()
        text = self.write(folder, "text.so", b"not a library")
        self.assert_refused("it does not start as an ELF file", "install", text)
        cut = self.write(folder, "cut.so", self.library[: len(self.library) // 2])
        self.assert_refused("its section table is damaged or cut off", "install", cut)
        foreign = bytearray(self.library)
        foreign[18] = 183 if foreign[18] == 62 else 62  # e_machine
        foreign = self.write(folder, "foreign.so", bytes(foreign))
        self.assert_refused("another processor architecture", "install", foreign)
        at = self.library.index(b"TENONPLG") + 16  # abi_major
        newer = self.library[:at] + b"\x09" + self.library[at + 1 :]
        newer = self.write(folder, "newer.so", newer)
        self.assert_refused("was built for plugin ABI 9.0", "install", newer)
        self.assert_refused("text.so", "install", folder, hint="nothing was changed")
        open_to_all = self.library_file()
        open_to_all.chmod(0o666)
        self.assert_refused("can be changed by any user", "install", open_to_all)
        self.assertEqual(self.installed(), {})

    def test_a_folder_is_installed_whole_or_not_at_all(self):
        folder = self.workspace.new_folder()
        self.write(folder, "one.so", self.library)
        self.write(folder, "two.so", self.other)
        done = self.plugin_json("install", folder)["installed"]
        self.assertEqual([each["id"] for each in done], ["acme.scale", "acme.scald"])
        names = [f"acme.{name}.{kind}" for name in ("scald", "scale") for kind in ("json", "so")]
        self.assertEqual(list(self.installed()), names)
        self.write(folder, "three.so", with_version(self.library, "1.0.1"))
        self.assert_refused("acme.scale is in", "install", folder)

    def test_an_older_version_and_another_file_of_the_same_need_force(self):
        self.assertIn("installed acme.scale 1.10.0", self.plugin("install", self.library_file("1.10.0")).stdout)
        older = self.library_file("1.9.0")
        self.assert_refused("1.9.0", "install", older, hint="is older than 1.10.0, which is installed")
        done = self.plugin("install", older, "--force")
        self.assertIn("in place of 1.10.0", done.stdout)
        same = self.library_file("1.9.0")
        same.write_bytes(same.read_bytes() + b"\0")
        self.assert_refused("is another file than the one of that version", "install", same)
        done = self.plugin("install", self.library_file("2.0.0"))
        self.assertIn("in place of 1.9.0", done.stdout)

    def test_a_file_that_was_changed_since_is_not_loaded(self):
        self.plugin_json("install", self.library_file())
        with open(self.plugins / "acme.scale.so", "ab") as file:
            file.write(b"\0")
        refused = self.workspace.tenon_json("plugins", env=self.environment)["refused"]
        self.assertEqual([each["rule"] for each in refused], ["changed"])
        self.assertIn("it has been changed since", refused[0]["reason"])
        self.assertIn("has been changed", self.plugin("list").stdout)
        self.plugin_json("install", self.library_file())  # puts it right
        self.assertEqual(self.workspace.tenon_json("plugins", env=self.environment)["refused"], [])

    def test_what_was_put_there_by_hand_is_left_alone(self):
        self.plugins.mkdir(parents=True)
        self.write(self.plugins, "acme.scale.so", self.library)
        newer = self.library_file("1.1.0")
        self.assert_refused("was put there by hand; --force replaces it", "install", newer)
        self.assert_refused("was put there by hand; --force removes it", "remove", "acme.scale")
        self.assertIn("put there by hand", self.plugin("list").stdout)
        (self.plugins / "acme.scale.so").rename(self.plugins / "mine.so")
        self.assert_refused("mine.so", "install", newer, "--force")

    def test_removed_plugins_are_gone(self):
        self.plugin_json("install", self.library_file())
        self.assert_refused("did you mean `acme.scale`?", "remove", "acme.scal")
        removed = self.plugin_json("remove", "acme.scale")["removed"]
        self.assertEqual(removed, [str(self.plugins / "acme.scale.so")])
        self.assertEqual(self.installed(), {})
        self.assertIn("no plugin is installed", self.plugin("list").stdout)

    def test_a_mask_that_lets_others_in_leaves_no_plugin_that_others_can_change(self):
        file = self.library_file()
        command = self.workspace.command("plugin", "install", file)
        subprocess.run(command, env=self.environment, check=True, umask=0, capture_output=True)
        self.assertEqual(self.workspace.tenon_json("plugins", env=self.environment)["refused"], [])

    # From an index.

    def test_an_index_is_used_once_its_key_is_trusted(self):
        folder = self.index_folder(**{"1.0.0": self.library, "1.1.0": with_version(self.library, "1.1.0")})
        key = self.make_index(folder)
        url = f"file://{folder}"
        self.assert_refused(f"signed by {key}, which you do not trust", "install", url, "acme.scale",
                            hint=f"type: tenon plugin trust {key}")
        self.plugin_json("trust", key)
        (done,) = self.plugin_json("install", url, "acme.scale@1.0.0")["installed"]
        self.assertEqual((done["version"], done["from"], done["key"]), ("1.0.0", f"{url}/index.json", key))
        (line,) = self.plugin_json("list")["plugins"]
        self.assertEqual((line["summary"], line["license"]), ("Scales", "MIT"))
        (done,) = self.plugin_json("update")["updated"]
        self.assertEqual((done["version"], done["replaced"]), ("1.1.0", "1.0.0"))
        self.assertEqual(self.plugin("update").stdout, "nothing is newer\n")
        self.assert_refused("is older than 1.1.0", "install", url, "acme.scale@1.0.0")
        self.assert_refused("the index has no plugin `acme.scal`", "install", url, "acme.scal",
                            hint="did you mean `acme.scale`?")
        self.assert_refused("no version 3.0.0 of acme.scale", "install", url, "acme.scale@3.0.0",
                            hint="it has 1.0.0, 1.1.0")
        self.plugin_json("trust", key, "--remove")
        self.assert_refused("which you do not trust", "update")

    def test_openssl_finds_the_signature_good(self):
        folder = self.index_folder(**{"1.0.0": self.library})
        key = self.make_index(folder)
        index = json.loads((folder / "index.json").read_text())
        body = json.dumps(index["index"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        message = self.workspace.new_path()
        message.write_bytes(b"tenon-plugin-index\n" + body.encode())
        signature = self.workspace.new_path()
        signature.write_bytes(base64.b64decode(index["signature"]))
        public = self.workspace.new_path(".pem")
        openssl = ["openssl", "pkey", "-in", self.home / "key.pem", "-pubout", "-out", public]
        subprocess.run(openssl, check=True)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
        subprocess.run([*command, "-in", message, "-sigfile", signature], check=True, capture_output=True)
        self.assertEqual(self.plugin_json("trust", public)["key"], key)
        made = self.workspace.new_path(".pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", made], check=True)
        made.chmod(0o600)
        self.assert_refused("this is another key", "index", folder, "--key", made)
        self.plugin_json("index", folder, "--key", made, "--force")

    def test_tampered_files_and_indexes_and_changed_keys_are_refused(self):
        folder = self.index_folder(**{"1.0.0": self.library})
        key = self.make_index(folder)
        url = f"file://{folder}/index.json"
        self.plugin_json("trust", key)
        file = folder / "acme.scale-1.0.0.so"
        file.write_bytes(self.library[:-1] + b"x")
        self.assert_refused("is not what the index has signed", "install", url, "acme.scale",
                            hint="acme.scale-1.0.0.so")
        file.write_bytes(self.library + b"x")
        self.assert_refused("at most", "install", url, "acme.scale")
        file.write_bytes(self.library)
        self.plugin_json("install", url, "acme.scale")
        first = (folder / "index.json").read_text()
        (folder / "index.json").write_text(first.replace('"Scales"', '"Stales"'))
        self.assert_refused(f"is not what {key} signed", "update")
        (folder / "index.json").unlink()
        self.make_index(folder)
        self.plugin_json("update")
        (folder / "index.json").write_text(first)  # a server that shows an old copy
        self.assert_refused("is older than the one that was here before", "update")
        (folder / "index.json").unlink()
        other = self.make_index(folder, self.home / "other.pem")
        self.plugin_json("trust", other)
        self.assert_refused(f"signed by {other}, and it was by {key} until now", "update",
                            hint=f"tenon plugin trust {other} --index {url}")
        self.plugin_json("trust", other, "--index", url)
        self.plugin_json("update")

    def test_an_index_of_plugins_for_other_machines_says_so(self):
        folder = self.index_folder(**{"1.0.0": self.library})
        foreign = bytearray(with_version(self.library, "2.0.0"))
        foreign[18] = 183 if foreign[18] == 62 else 62
        self.write(folder, "acme.scale-2.0.0.so", bytes(foreign))
        self.assert_refused("acme.scale-2.0.0.so: the plugin is refused: it was built for another",
                            "index", folder, "--key", self.home / "key.pem",
                            hint="is indexed there first")
        (folder / "acme.scale-2.0.0.so").unlink()
        self.plugin_json("trust", self.make_index(folder))
        self.assert_refused("no version 2.0.0", "install", folder, "acme.scale@2.0.0")

    def test_an_index_on_a_web_server_is_used_by_libcurl(self):
        folder = self.index_folder(**{"1.0.0": self.library})
        self.plugin_json("trust", self.make_index(folder))
        with served(folder) as url:
            (done,) = self.plugin_json("install", url, "acme.scale")["installed"]
            self.assertEqual(done["from"], f"{url}/index.json")
            self.assert_refused("404", "install", f"{url}/none", "acme.scale")
        self.assert_refused("it cannot be fetched", "update")

    def test_what_is_missing_is_told_with_the_line_that_installs_it(self):
        config = self.workspace.write_config
        model, example = self.workspace.new_path(".pt2"), models.example("my_scale")
        models.export_to(model, example)
        rows = {"x": torch.rand(8, 8), "labels": torch.randint(4, (8,))}
        adapter = self.workspace.new_path()
        toml = config({
            "model": {"path": model},
            "adapter": {"method": "lora", "target_modules": ["scale"], "r": 1},
            "data": {"train": self.workspace.write_tensors(rows)},
            "train": {"loss": "cross_entropy", "optimizer": "sgd", "learning_rate": 0.1, "steps": 1,
                      "batch_size": 4},
            "output": {"directory": adapter},
        })
        folder = self.index_folder(**{"1.0.0": self.library})
        self.plugin_json("trust", self.make_index(folder))
        self.plugin_json("install", f"file://{folder}", "acme.scale")
        self.workspace.tenon_ok("run", toml, env=self.environment)
        self.plugin_json("remove", "acme.scale")
        line = f"tenon plugin install file://{folder}/index.json acme.scale"
        planned = self.workspace.tenon("plan", toml, env=self.environment)
        self.assertEqual(planned.returncode, 2)
        self.assertIn(f"a plugin for it is known: {line}", planned.stderr)
        outputs = self.workspace.new_path(".safetensors")
        inputs = self.workspace.write_tensors({"x": torch.rand(3, 8)})
        predict = ("predict", toml, "--adapter", adapter, "--inputs", inputs, "--outputs", outputs)
        failed = self.workspace.tenon(*predict, env=self.environment)
        self.assertIn(f"type: {line}", failed.stderr)
        self.assertEqual(self.plugin(*line.split()[2:]).returncode, 0)
        self.workspace.tenon_ok(*predict, env=self.environment)

    # Several at once, and killed ones.

    def test_many_at_once_leave_all_of_them(self):
        files = []
        for number in range(6):
            library = self.library.replace(b"acme.scale\0", f"acme.scal{number}\0".encode())
            files.append(self.write(self.workspace.new_folder(), "p.so", library))
        started = [subprocess.Popen(self.workspace.command("plugin", "install", file),
                                    env=self.environment, stdout=subprocess.DEVNULL) for file in files]
        self.assertEqual([process.wait() for process in started], [0] * 6)
        listed = self.plugin_json("list")["plugins"]
        self.assertEqual([(each["id"], each["problem"]) for each in listed],
                         [(f"acme.scal{number}", None) for number in range(6)])

    def test_killed_installations_leave_the_old_or_the_new(self):
        old, new = self.library_file("1.0.0"), self.library_file("1.1.0")
        self.plugin_json("install", old)
        begun = time.monotonic()
        self.plugin_json("install", new)
        whole = time.monotonic() - begun
        seen = set()
        for number in range(6):
            file = old if number % 2 else new
            process = subprocess.Popen(
                self.workspace.command("plugin", "install", file, "--force"),
                env=self.environment, stdout=subprocess.DEVNULL)
            time.sleep(whole * (0.4 + 0.1 * number))
            process.send_signal(signal.SIGKILL)
            process.wait()
            (line,) = self.plugin_json("list")["plugins"]
            self.assertIsNone(line["problem"])
            seen.add(line["version"])
        self.plugin_json("install", new, "--force")
        self.assertEqual(sorted(self.installed()), ["acme.scale.json", "acme.scale.so"])
        self.assertEqual([path for path in self.data.rglob(".tenon-*")], [])
        self.assertLessEqual(seen, {"1.0.0", "1.1.0"})


@contextlib.contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
