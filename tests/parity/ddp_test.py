"""Two processes of Tenon train what PyTorch's DistributedDataParallel makes of PEFT's model, on the
rows that DistributedSampler gives each; and models of several kinds in two and four processes what
one trains with all their rows.

Under torchrun, with a file of settings behind --ddp, this script is one of DDP's processes."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from cases import make_case
from peft import get_peft_model_state_dict
from ranked import TORCHRUN, RankedTest
from resume_test import TAGGER
from safetensors.torch import load_file, save_file
from support import main, relative_norm
from training_test import LEARNING_RATES, OPTIMIZERS

STEPS = 20
ROWS = 48
BATCH_SIZE = 4
CLIP = 0.5
# The order of sums in PyTorch's own kernels on other batches, as far as 20 steps carry it.
TOLERANCE = 1e-6
# Of the adapter: AdamW makes whole steps of gradients that are near 0, whose last digits differ (seen:
# 1.8e-5 on MiniLM, 2e-7 elsewhere).
ADAPTER_TOLERANCE = 3e-5
PEFT_TOLERANCE = 1e-4


def train_by_ddp(settings):
    """One of DDP's processes; rank 0 saves what PEFT would, and the mean loss of each step."""
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DistributedSampler

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    folder = Path(settings["folder"]) / str(dist.get_rank())
    folder.mkdir()
    case = make_case(settings["case"], folder, training=True)
    peft_model = case.load_by_peft(settings["start"], trainable=True).train()
    model = DistributedDataParallel(peft_model)
    trainable = [p for p in peft_model.parameters() if p.requires_grad]
    make, options = OPTIMIZERS[settings["optimizer"]]
    rate = LEARNING_RATES[settings["case"]][settings["optimizer"]]
    optimizer = make(trainable, lr=rate, **options)
    data = load_file(settings["data"])
    rows = list(DistributedSampler(range(ROWS), shuffle=False))
    losses = []
    for step in range(STEPS):
        first = step * BATCH_SIZE % len(rows)
        batch = {name: tensor[rows[first : first + BATCH_SIZE]] for name, tensor in data.items()}
        labels = batch.pop("labels")
        loss = case.peft_loss(case.forward(model, batch), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, CLIP)
        optimizer.step()
        total = loss.detach().clone()
        dist.all_reduce(total)
        losses.append(total.item() / dist.get_world_size())
    if dist.get_rank() == 0:
        save_file(
            {n: t.contiguous() for n, t in get_peft_model_state_dict(peft_model).items()},
            settings["output"],
        )
        Path(settings["losses"]).write_text(json.dumps(losses))
    dist.destroy_process_group()


class DdpTest(RankedTest):
    def test_two_processes_are_ddps_with_pefts_model(self):
        for name, optimizer in (("mlp", "sgd"), ("mlp", "adamw"), ("minilm", "adamw")):
            case = make_case(name, self.workspace.folder, training=True)
            start = self.workspace.new_path()
            case.save_by_peft(start)
            data = self.workspace.write_tensors(case.data(ROWS))
            settings = {
                **{"case": name, "optimizer": optimizer, "start": str(start), "data": str(data)},
                "folder": str(self.workspace.new_folder()),
                "output": str(self.workspace.new_path(".safetensors")),
                "losses": str(self.workspace.new_path(".json")),
            }
            file = self.workspace.new_path(".json")
            file.write_text(json.dumps(settings))
            script = [sys.executable, "-B", __file__, "--ddp", file]
            done = subprocess.run(
                [TORCHRUN, "--no-python", "--nproc-per-node", "2", *script],
                capture_output=True,
                text=True,
                timeout=300,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            config = {
                "model": case.table,
                "adapter": case.adapter_table(init_from=start),
                "data": {"train": data},
                "train": self.train_table(case.loss, optimizer, LEARNING_RATES[name][optimizer]),
                "output": {"directory": self.workspace.new_path()},
            }
            with self.subTest(case=name, optimizer=optimizer):
                run, adapter = self.run_config(config, "--processes", 2)
                wanted = json.loads(Path(settings["losses"]).read_text())
                for loss, expected in zip(run["losses"], wanted, strict=True):
                    self.assertLessEqual(abs(loss - expected), PEFT_TOLERANCE * abs(expected))
                expected = load_file(settings["output"])
                self.assertEqual(adapter.keys(), expected.keys())
                for key, tensor in expected.items():
                    self.assertLessEqual(relative_norm(adapter[key], tensor), PEFT_TOLERANCE, key)

    def train_table(self, loss, optimizer, rate, **changes):
        return {
            **{"loss": loss, "optimizer": optimizer, "learning_rate": rate, "steps": STEPS},
            **{"batch_size": BATCH_SIZE, "shuffle": False, "max_grad_norm": CLIP, "threads": 1},
            **OPTIMIZERS[optimizer][1],
            **changes,
        }

    def test_models_of_several_kinds_train_the_same_in_any_number_of_processes(self):
        minilm = make_case("minilm", self.workspace.folder, training=True)
        torch.manual_seed(5)
        words = {"input": torch.randint(20, (ROWS, 5)), "labels": torch.randint(3, (ROWS,))}
        tagger = {"target_modules": ["lstm", "words"], "r": 2}
        models = {
            "minilm": (minilm.table, minilm.adapter_table(), minilm.data(ROWS), minilm.loss, 2e-4),
            "tagger": (TAGGER, tagger, words, "cross_entropy", 0.01),
        }
        for name, (model, adapter, data, loss, rate) in models.items():
            rows = self.workspace.write_tensors(data)
            for optimizer in OPTIMIZERS:
                for accumulated in (1, 3):
                    runs = []
                    for count in (1, 2, 4):
                        changes = {
                            "batch_size": 8 // count,
                            "gradient_accumulation_steps": accumulated,
                            "lr_scheduler_type": "cosine",
                        }
                        config = {
                            "model": model,
                            "adapter": adapter,
                            "data": {"train": rows},
                            "train": self.train_table(loss, optimizer, rate, **changes),
                            "output": {"directory": self.workspace.new_path()},
                        }
                        words_of_run = ("--processes", count) if count > 1 else ()
                        runs.append(self.run_config(config, *words_of_run))
                    with self.subTest(model=name, optimizer=optimizer, accumulated=accumulated):
                        for run, trained in runs[1:]:
                            for one, wanted in zip(run["losses"], runs[0][0]["losses"]):
                                self.assertLessEqual(abs(one - wanted), TOLERANCE * abs(wanted))
                            for key, tensor in runs[0][1].items():
                                difference = relative_norm(trained[key], tensor)
                                self.assertLessEqual(difference, ADAPTER_TOLERANCE, key)


if __name__ == "__main__":
    if "--ddp" in sys.argv:
        train_by_ddp(json.loads(Path(sys.argv[-1]).read_text()))
    else:
        main()
