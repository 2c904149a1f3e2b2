"""RoAd in its three variants, for tests/parity/method_test.py."""

from peft import RoadConfig as CONFIG  # noqa: F401
from torch import nn

ADAPTERS = {
    "plain": {"variant": "road_1", "group_size": 4},
    "an angle for each output": {"variant": "road_2", "group_size": 2},
    "an angle for each element": {"variant": "road_4", "group_size": 4},
}
ROWS = [
    ("mlp", {"target_modules": ["lin0"], "variant": "road_1", "group_size": 2}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "variant": "road_1", "group_size": 2}),
    ("mlp", {"target_modules": ["lin0"], "group_size": 2, "modules_to_save": ["lin1"]}),
    ("mlp", {"target_modules": "lin0", "variant": "road_2", "group_size": 2}),
    ("mlp", {"target_modules": ["lin0"], "variant": "road_4", "group_size": 10}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
    }
