"""A process of a run that ends or hangs ends all of them, and is named."""

import signal
import subprocess
import time

from ranked import RankedTest, free_port
from support import main


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


if __name__ == "__main__":
    main()
