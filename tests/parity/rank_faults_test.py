"""A process of a run that ends or hangs ends all of them, and is named."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ranked import TORCHRUN, RankedTest, free_port, launched
from safetensors.torch import load_file
from support import main

KILLS = 2
IS_SWEEP = "--all" in sys.argv
if IS_SWEEP:
    sys.argv.remove("--all")
    KILLS = 100


def children(process):
    """The running tenons that a process started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text().rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if int(fields[1]) == process and fields[0] != "Z" and name.endswith("(tenon"):
            found.append(int(status.parent.name))
    return found


class Namespaces:
    """Two network namespaces with an address each, as if they were machines."""

    NAMES = ("tenon-a", "tenon-b")
    ADDRESSES = ("10.77.0.1", "10.77.0.2")

    def __enter__(self):
        self.remove()
        for name in self.NAMES:
            ip("netns", "add", name)
        ip("link", "add", "tenon-a", "type", "veth", "peer", "name", "tenon-b")
        for name, address in zip(self.NAMES, self.ADDRESSES):
            ip("link", "set", name, "netns", name)
            ip("-n", name, "addr", "add", address + "/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")
            ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for name in self.NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", "tenon-a"], capture_output=True)

    def set_link(self, state):
        ip("-n", "tenon-b", "link", "set", "tenon-b", state)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class RankFaultsTest(RankedTest):
    def test_a_rank_that_is_killed_ends_all(self):
        for killed in (0, 1):
            config = self.endless()
            port = free_port()
            ranks = [self.start(config, rank, 2, port) for rank in (0, 1)]
            self.wait_for_steps(ranks[0])
            ranks[killed].kill()
            began = time.monotonic()
            status, text = self.end(ranks[1 - killed])
            with self.subTest(killed=killed):
                self.assertLess(time.monotonic() - began, 15)
                self.assertEqual(status, 1)
                self.assertIn(f"rank {killed} (", text)
                self.assertIn(f"process {ranks[killed].pid}) ended or hangs", text)
                if killed == 1:
                    self.assertIn("the last good state is saved in", text)
            self.end(ranks[killed])

    def test_a_rank_that_hangs_is_named_after_the_timeout(self):
        config = self.endless(ddp_timeout=3)
        port = free_port()
        ranks = [self.start(config, rank, 2, port) for rank in (0, 1)]
        self.wait_for_steps(ranks[0])
        ranks[1].send_signal(signal.SIGSTOP)
        status, text = self.end(ranks[0])
        ranks[1].kill()
        self.end(ranks[1])
        self.assertEqual(status, 1)
        self.assertIn(f"process {ranks[1].pid}) ended or hangs", text)

    def test_the_launcher_of_its_own_ends_all_and_passes_signals_on(self):
        config = self.endless()
        command = self.workspace.command(
            "run", self.workspace.write_config(config), "--processes", 2
        )
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.wait_for_steps(process)
        process.send_signal(signal.SIGTERM)
        status, text = self.end(process)
        self.assertEqual(status, 128 + signal.SIGTERM, text)
        self.assertIn("what was trained is saved in", text)
        self.assertEqual(len(list(config["output"]["directory"].glob("checkpoint-*"))), 1)

    def test_kills_of_any_rank_lose_no_step_under_torchruns_restarts(self):
        """The run goes on from the newest checkpoint each time, and ends as one that was not killed,
        bit for bit."""
        steps = 20_000 if IS_SWEEP else 2_000
        changes = {"train": {"epochs": 1, "batch_size": 8, "max_grad_norm": 1}}
        wanted = self.config(**changes)
        del wanted["train"]["epochs"]
        wanted["train"]["steps"] = steps
        wanted["output"].update(save_steps=steps // 40, save_total_limit=2)
        config = {**wanted, "output": {**wanted["output"], "directory": self.workspace.new_path()}}
        expected, adapter = self.run_config(wanted, "--processes", 2)
        command = self.workspace.command(
            *("run", self.workspace.write_config(config), "--json", "--resume")
        )
        agent = subprocess.Popen(
            [
                *(TORCHRUN, "--no-python", "--nproc-per-node", "2", "--max-restarts", str(KILLS)),
                *("--monitor-interval", "0.1", *command),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        chance = random.Random(1)
        killed = 0
        while killed < KILLS and agent.poll() is None:
            time.sleep(chance.uniform(0.3, 1.5))
            ranks = children(agent.pid)
            if len(ranks) == 2:
                os.kill(chance.choice(ranks), signal.SIGKILL)
                killed += 1
        output, errors = agent.communicate(timeout=600)
        self.assertEqual(agent.returncode, 0, errors)
        self.assertEqual(killed, KILLS, "the run was over before")
        # Before it stands what rank 0 of the earlier attempts said.
        run = json.loads(output[output.rindex('{\n  "trainable_params"') :])
        self.assertEqual(run["losses"], expected["losses"])
        file = config["output"]["directory"] / "adapter_model.safetensors"
        for name, tensor in load_file(file).items():
            self.assertTrue(tensor.equal(adapter[name]), name)

    def test_two_machines_train_and_outlive_a_link_that_is_cut(self):
        try:
            machines = Namespaces().__enter__()
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"no network namespaces can be made here: {error}")
        self.addCleanup(machines.remove)
        config = self.config(train={"batch_size": 4})
        expected, _ = self.run_config(self.config())
        ranks = self.start_on(machines, config)
        ends = [self.end(rank) for rank in ranks]
        self.assertEqual([status for status, _ in ends], [0, 0], ends)
        run = json.loads(ends[0][1][ends[0][1].index("{") : ends[0][1].rindex("}") + 1])
        for loss, wanted in zip(run["losses"], expected["losses"], strict=True):
            self.assertLessEqual(abs(loss - wanted), 1e-6 * wanted)

        config = self.endless(ddp_timeout=5)
        config["output"]["save_steps"] = 100
        folder = config["output"]["directory"]
        ranks = self.start_on(machines, config)
        first = self.wait_for_checkpoint(folder, after=0)
        machines.set_link("down")
        time.sleep(3)
        machines.set_link("up")
        before = self.wait_for_checkpoint(folder, after=first + 500)
        self.assertEqual([rank.poll() for rank in ranks], [None, None])

        machines.set_link("down")  # a machine that is lost sends no farewell
        ranks[1].kill()
        status, text = self.end(ranks[0])
        self.end(ranks[1])
        self.assertEqual(status, 1, text)
        self.assertIn("rank 1 (", text)
        machines.set_link("up")
        newest = self.newest_checkpoint(folder)
        self.assertGreaterEqual(newest, before)
        config["train"]["steps"] = newest + 50
        del config["train"]["epochs"]
        ranks = self.start_on(machines, config, "--resume")
        ends = [self.end(rank) for rank in ranks]
        self.assertEqual([status for status, _ in ends], [0, 0], ends)
        run = json.loads(ends[0][1][ends[0][1].index("{") : ends[0][1].rindex("}") + 1])
        self.assertEqual(len(run["losses"]), newest + 50)

    def start_on(self, machines, config, *words):
        path = self.workspace.write_config(config)
        port = free_port()
        started = []
        for rank, name in enumerate(machines.NAMES):
            variables = {**launched(2, rank, port), "MASTER_ADDR": machines.ADDRESSES[0]}
            started.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", name]
                    + self.workspace.command("run", path, "--json", *words),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**variables, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"},
                )
            )
        return started

    @staticmethod
    def newest_checkpoint(folder):
        steps = [int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*")]
        return max(steps, default=0)

    def wait_for_checkpoint(self, folder, after):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            newest = self.newest_checkpoint(folder)
            if newest > after:
                return newest
            time.sleep(0.1)
        self.fail(f"no checkpoint after step {after}")


if __name__ == "__main__":
    main()
