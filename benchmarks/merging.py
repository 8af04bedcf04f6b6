"""Owns one table of docs/measurements/exports.md: memory and seconds of merging, PEFT in memory against file to file.

    python -m benchmarks.merging

Invariant: both ways start from the same files, each in a process of its own, and what they wrote is compared.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

MAKE = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=32000, hidden_size=768, intermediate_size=2560, num_hidden_layers=10, num_attention_heads=12,
                     num_key_value_heads=12, tie_word_embeddings=False)
model = LlamaForCausalLM(config)
print(sum(p.numel() for p in model.parameters()))
model.save_pretrained(sys.argv[1] + "/base")
model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear"))
for name, weight in model.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weight, std=0.1)
model.save_pretrained(sys.argv[1] + "/adapter")
"""
BEFORE = """
import sys, time, psutil, threading, torch, peft, transformers
from pathlib import Path
from loralab.reports.card import Origin
from loralab.core.events import RunView
from loralab.exports import Source, _merge
from loralab.runtimes.base_model import load_base
root = Path(sys.argv[1]); me = psutil.Process(); before = me.memory_info().rss; most = before; going = True
def watch():
    global most
    while going:
        most = max(most, me.memory_info().rss); time.sleep(0.005)
thread = threading.Thread(target=watch); thread.start(); begun = time.time()
"""
STREAMED = """
source = Source("run", {}, RunView(run="run"), root / "base", root / "adapter", Origin(name="base"))
(root / "streamed").mkdir(); _merge.SHARD = 100_000_000
layers = _merge.layers_of(source); assert layers
_merge.write(source, layers, root / "streamed", torch.float32, lambda _: None)
"""
PEFT = """
model = peft.PeftModel.from_pretrained(load_base(root / "base", "fp32", torch.device("cpu")), str(root / "adapter"))
model.merge_and_unload(safe_merge=True).save_pretrained(root / "peft", max_shard_size="100MB")
"""
AFTER = """
going = False; thread.join()
print(f"{(most - before) / 1e6:.0f} MB above {before / 1e6:.0f} MB, {time.time() - begun:.1f} s")
"""
COMPARE = """
import sys
from loralab.runtimes.base_model import load_base
from pathlib import Path
first, second = (load_base(Path(sys.argv[1], name), "fp32").state_dict() for name in ("peft", "streamed"))
assert set(first) == set(second)
print("largest difference", max(float((first[name] - second[name]).abs().max()) for name in first))
"""


def told(code: str, root: str) -> str:
    """The last line a program prints."""
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Make the model, merge it both ways, compare."""
    with TemporaryDirectory() as root:
        lines = {"weights": MAKE, "PEFT": BEFORE + PEFT + AFTER, "file to file": BEFORE + STREAMED + AFTER, "both": COMPARE}
        for name, code in lines.items():
            sys.stdout.write(f"{name}: {told(code, str(Path(root)))}\n")


if __name__ == "__main__":
    main()
