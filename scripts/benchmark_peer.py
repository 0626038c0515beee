"""OpenNMT-py's side of scripts/benchmark_same_weights.py: one measurement in a process of its own.

It runs in an environment without nmt. Make that environment once, and give its Python to
`scripts/benchmark_same_weights.py --peer`:

    python3.11 -m venv PEER
    PEER/bin/pip install torch==2.13.0 numpy configargparse tensorboard flask waitress pyonmttok \
        pyyaml sacrebleu rapidfuzz pyahocorasick six ctranslate2 setuptools sentencepiece
    PEER/bin/pip install --no-deps OpenNMT-py==3.5.1

OpenNMT-py 3.5.1 asks for an older torch, hence --no-deps. With this one it works: it only needs
leave to unpickle its own checkpoints. It also imports spacy and fasttext, for transforms that are
not used here; empty modules stand for them.

Verbs: limit DEVICE | train CONFIG | convert CHECKPOINT WEIGHTS OUT | onmt_translate WORDS …
     | translate MODEL SOURCE OUT BEAM BATCH DEVICE
"""

import json
import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

CONFIG = """
data: {train: {path_src: FOLDER/pieces.de, path_tgt: FOLDER/pieces.en}}
src_vocab: FOLDER/vocabulary
tgt_vocab: FOLDER/vocabulary
vocab_size_multiple: 1
rnn_type: LSTM
encoder_type: brnn
decoder_type: rnn
layers: 2
word_vec_size: 256
hidden_size: SIZE
input_feed: 0
global_attention: none
dropout: [0.2]
train_steps: UPDATES
report_every: EVERY
save_model: FOLDER/peer-SIZE
batch_type: tokens
batch_size: 4096
normalization: tokens
bucket_size: PAIRS
num_workers: 0
optim: adam
learning_rate: 0.002
decay_method: none
label_smoothing: 0.1
max_grad_norm: 1
gpu_ranks: GPUS
"""
_SIZE, _TRIES = 2048, 8
_WARM_UP = 16
"""Sentences translated before the clock starts."""
_PIECES = {"<blank>": "<pad>"}
"""The peer's name of a piece, and ours."""
_EMBEDDINGS = "embeddings.make_embedding.emb_luts.0.weight"


def limit(device: str) -> dict[str, Any]:
    """Measure how fast this torch multiplies two large fp32 matrices: the best of several times.

    Returns:
        `gflops`: 2 × 2048³ ÷ seconds ÷ 10⁹; and on what: `device` (cpu or cuda, where auto was
        given, too), `name`, `threads`, `torch`.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"

    left, right = (torch.rand(_SIZE, _SIZE, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(_TRIES):
        start = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - start)
    return {
        "gflops": 2 * _SIZE**3 / best / 1e9,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": device,
        "name": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


def peer_weights(
    weights: Mapping[str, Any],
    our_pieces: Sequence[str],
    source_pieces: Sequence[str],
    target_pieces: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give our tensors the peer's names and its order of token ids.

    Args:
        weights: our state dict, of a network with `bridge: copy` and nothing but two stacks.
        our_pieces: the pieces of our one vocabulary, in the order of their ids.
        source_pieces: the peer's source pieces, in its order.
        target_pieces: its target pieces.

    Returns:
        The peer's `model` and its `generator`.
    """
    number = {piece: id_ for id_, piece in enumerate(our_pieces)}
    source, target = (
        [number[_PIECES.get(piece, piece)] for piece in pieces]
        for pieces in (source_pieces, target_pieces)
    )
    model = {
        f"encoder.{_EMBEDDINGS}": weights["encoder.embedding.weight"][source],
        f"decoder.{_EMBEDDINGS}": weights["decoder.embedding.weight"][target],
    }
    for name, tensor in weights.items():
        side, part, *rest = name.split(".")
        if part == "stack":
            model[".".join([side, "rnn", *rest])] = tensor
    generator = {kind: weights[f"decoder.projection.{kind}"][target] for kind in ("weight", "bias")}
    return model, generator


def convert(checkpoint: str, weights: str, out: str) -> None:
    """Put our weights into a checkpoint that the peer has saved for the same architecture."""
    import torch

    theirs, ours = torch.load(checkpoint), torch.load(weights)
    pieces = [theirs["vocab"][side] for side in ("src", "tgt")]
    model, generator = peer_weights(ours["weights"], ours["pieces"], *pieces)
    for new, old in [(model, theirs["model"]), (generator, theirs["generator"])]:
        shapes = [{name: tensor.shape for name, tensor in part.items()} for part in (new, old)]
        assert shapes[0] == shapes[1], shapes
    theirs |= {"model": model, "generator": generator, "optim": None}
    torch.save(theirs, out)


def load_engine(model: str, beam: int, batch: int, device: str) -> Any:
    """Load a checkpoint; return the peer's engine, whose `infer_list` translates."""
    from onmt.bin.translate import _get_parser
    from onmt.inference_engine import InferenceEnginePY
    from onmt.utils.parse import ArgumentParser

    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    sys.modules.update({name: types.ModuleType(name) for name in ("spacy", "fasttext")})
    words = ["-model", model, "-src", os.devnull, "-output", os.devnull, "-beam_size", str(beam)]
    words += ["-batch_size", str(batch), "-gpu", "0" if device == "cuda" else "-1"]
    words += ["-max_length_ratio", "2", "-length_penalty", "avg", "-alpha", "1"]
    if beam == 1:
        words += ["-random_sampling_topk", "1"]  # its greedy search
    options = _get_parser().parse_args(words)
    ArgumentParser.validate_translate_opts(options)
    ArgumentParser._get_all_transform_translate(options)
    ArgumentParser._validate_transforms_opts(options)
    ArgumentParser.validate_translate_opts_dynamic(options)
    return InferenceEnginePY(options)


def translate(
    model: str, source: str, out: str, beam: str, batch: str, device: str
) -> dict[str, Any]:
    """Translate a file of pieces, a sentence a line; return the seconds, loading left out."""
    engine = load_engine(model, int(beam), int(batch), device)
    with open(source, encoding="utf-8", newline="\n") as stream:
        lines = stream.read().split("\n")[:-1]
    engine.infer_list(lines[:_WARM_UP])
    start = time.perf_counter()
    _, found = engine.infer_list(lines)
    seconds = time.perf_counter() - start
    with open(out, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{best[0]}\n" for best in found)
    return {"seconds": seconds}


def main() -> None:
    """Do what the first word says, and print the figures as the last line, JSON."""
    verb, *words = sys.argv[1:]
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    sys.modules.update({name: types.ModuleType(name) for name in ("spacy", "fasttext")})
    if verb in ("train", "onmt_translate"):  # the peer's own commands
        sys.argv[1:] = ["-config", *words] if verb == "train" else words
        if verb == "train":
            from onmt.bin.train import main as command
        else:
            from onmt.bin.translate import main as command
        command()
        return
    verbs: dict[str, Callable[..., object]] = {
        "limit": limit,
        "convert": convert,
        "translate": translate,
    }
    print(json.dumps(verbs[verb](*words)))


if __name__ == "__main__":
    main()
