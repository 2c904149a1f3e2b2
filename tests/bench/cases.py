"""What the benchmark trains."""

# Rows per batch and tokens per row; steps are many enough that the first few do not matter.
CASES = {
    "MLP, batch 64": {"model": "mlp", "batch": 64, "length": 0, "steps": 60},
    "MLP, batch 64, with logs, a schedule and checkpoints": {
        "model": "mlp", "batch": 64, "length": 0, "steps": 300, "watched": True
    },
    "MiniLM 4x16": {"model": "minilm", "batch": 4, "length": 16, "steps": 40},
    "MiniLM 16x128": {"model": "minilm", "batch": 16, "length": 128, "steps": 8},
    "MiniLM 16x128, lora_dropout 0.1": {
        "model": "minilm", "batch": 16, "length": 128, "steps": 8, "lora_dropout": 0.1
    },
    "MiniLM 16x128, autocast bfloat16": {
        "model": "minilm", "batch": 16, "length": 128, "steps": 8, "autocast": "bfloat16"
    },
    "PoolFormer m36, 2 images of 224": {
        "model": "poolformer", "batch": 2, "length": 224, "steps": 4
    },
    "LSTM 2x128, both directions, 16x50": {
        "model": "large_lstm", "batch": 16, "length": 50, "steps": 16
    },
    "GRU 2x128, both directions, 16x50": {
        "model": "large_gru", "batch": 16, "length": 50, "steps": 16
    },
    "Mistral of 32,000 words, 8x64": {"model": "mistral", "batch": 8, "length": 64, "steps": 8},
}
# PEFT adapts a recurrent layer by its weights alone.
RECURRENT = {
    "r": 8, "lora_alpha": 8,
    "target_parameters": [f"rnn.weight_{kind}_l{layer}{direction}" for layer in (0, 1)
                          for direction in ("", "_reverse") for kind in ("ih", "hh")],
}
ADAPTERS = {
    "mlp": {"r": 8, "lora_alpha": 8, "target_modules": ["seq.0", "seq.2"],
            "modules_to_save": ["seq.4"]},
    "minilm": {"r": 8, "lora_alpha": 8, "target_modules": ["query", "key", "value", "dense"]},
    "poolformer": {"r": 8, "lora_alpha": 8, "target_modules": r".*\.mlp\.fc\d",
                   "modules_to_save": ["head.fc"]},
    "large_lstm": RECURRENT,
    "large_gru": RECURRENT,
    "mistral": {"r": 8, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
}
LOSSES = {"mlp": "nll", "minilm": "cross_entropy", "poolformer": "cross_entropy",
          "large_lstm": "cross_entropy", "large_gru": "cross_entropy", "mistral": "causal_lm"}
LEARNING_RATE = 1e-3


def data_name(case):
    return case.get("data") or f"{case['model']}-{case['batch']}x{case['length']}.safetensors"
