"""A tiny chat model with random weights, made in seconds: real in every part but the sense of what it says.

Two layers, hidden size 128, about a million parameters, and a byte-level BPE tokenizer trained on the text of this
repository, so that a token stands for about four characters as it does in a real model.

    python tests/tiny_model.py FOLDER [--arch qwen2] [--max-positions 16384]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
VOCAB = 4000
END, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", END]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def texts() -> Iterator[str]:
    """Yield the prompts and packs as they are, and the packs' lines once more the way they look inside JSON."""
    for path in sorted([*ROOT.glob("prompts/*.md"), *ROOT.glob("knowledge/**/*.yaml")]):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from lines
        for line in lines:
            key, _, value = line.strip(" -").partition(": ")
            yield json.dumps({key: value.strip('"'), "say": [line.strip(' -"')], "turn": len(line)}, separators=(",", ":"))


def tokenizer(max_positions: int) -> Any:
    """Train the tokenizer, and give it the ChatML template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts(), trainers.BpeTrainer(vocab_size=VOCAB, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=PAD, model_max_length=max_positions)
    fast.chat_template = CHAT
    return fast


def make(folder: Path | str, arch: str = "llama", seed: int = 0, max_positions: int = 16384) -> Path:
    """Write a tiny model and its tokenizer.

    Args:
        folder: Where to; it is made when it is not there.
        arch: Architecture of the model, ``llama`` or ``qwen2``.
        seed: Of the random weights.
        max_positions: Context length in tokens.

    Returns:
        The folder.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    config, model = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}[arch]
    fast = tokenizer(max_positions)
    shape = config(
        vocab_size=len(fast),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model(shape).to(torch.float32).save_pretrained(folder)
    fast.save_pretrained(folder)
    return Path(folder)


def main() -> None:
    """Write a model to the folder named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch", choices=["llama", "qwen2"], default="llama")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-positions", type=int, default=16384, help="context length in tokens")
    args = parser.parse_args()
    print(make(args.folder, args.arch, args.seed, args.max_positions))


if __name__ == "__main__":
    main()
