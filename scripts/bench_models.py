"""Language models of a shape with random weights, for edgeslm and for llama.cpp. Made once, in a cache folder.

Random weights take the time that trained ones take. The two runtimes need not agree on a token, so each file has
weights of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeslm.decoder import Decoder, Layer, Matrix, Norm, Part, Rotary

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "edgeslm/export",
    "edgeslm/backends/tflite",
    "edgeslm/formats",
    "edgeslm/decoder.py",
    "scripts/bench_models.py",
)
VOCABULARY = 32_000
EPSILON = 1e-5
SPREAD = 0.02  # of the weights, as transformers initializes them
BLOCK = 32  # columns that share a scale, with 4 bits
Scheme = Literal["int8", "int4"]


@dataclass(frozen=True)
class Shape:
    """A Llama: as many key/value heads as heads, tied embeddings."""

    name: str
    width: int
    layers: int
    heads: int
    feed: int

    def matrices(self, layer: int) -> Iterator[tuple[str, str, int, int]]:
        """A layer's matrices: transformers' name, llama.cpp's, rows, columns."""
        width, feed = self.width, self.feed
        ours, theirs = f"model.layers.{layer}.", f"blk.{layer}."
        for one in "qkv":
            yield f"{ours}self_attn.{one}_proj.weight", f"{theirs}attn_{one}.weight", width, width
        yield f"{ours}self_attn.o_proj.weight", f"{theirs}attn_output.weight", width, width
        yield f"{ours}mlp.gate_proj.weight", f"{theirs}ffn_gate.weight", feed, width
        yield f"{ours}mlp.up_proj.weight", f"{theirs}ffn_up.weight", feed, width
        yield f"{ours}mlp.down_proj.weight", f"{theirs}ffn_down.weight", width, feed


SHAPES = {"15M": Shape("15M", 288, 6, 6, 768), "110M": Shape("110M", 768, 12, 12, 2048)}


def edgeslm_model(cache: Path, shape: Shape, scheme: Scheme, context: int) -> Path:
    """A folder with manifest.json (the bundle manifest's `model` object), its model and tokenizer.json."""
    return _kept(
        cache, f"{shape.name}-{scheme}-{context}-{_sources()}", lambda out: _build(out, shape, scheme, context)
    )


def android_model(cache: Path, shape: Shape, scheme: Scheme, context: int) -> Path:
    """The same with the signatures that write into the cache, as for Android."""
    name = f"{shape.name}-{scheme}-{context}-android-{_sources()}"
    return _kept(cache, name, lambda out: _build(out, shape, scheme, context, writers=True))


def gguf_model(cache: Path, shape: Shape, scheme: Scheme) -> Path:
    """A .gguf, Q8_0 or Q4_0, rounded by llama.cpp itself; the tied matrix has the type that it chooses."""
    version = importlib.import_module("llama_cpp").__version__
    folder = _kept(cache, f"gguf-{shape.name}-{scheme}-{version}", lambda out: _write_gguf(out, shape, scheme))
    return folder / "model.gguf"


def _build(out: Path, shape: Shape, scheme: Scheme, context: int, writers: bool = False) -> None:
    """edgeslm's own graphs and file; integers of random bits instead of a checkpoint's rounded ones."""
    from edgeslm.backends.tflite.cache_writers import CacheShape, add_cache_writers
    from edgeslm.backends.tflite.language_windows import CHUNKS, cache_segments, language_signatures
    from edgeslm.backends.tflite.lower.file import lower_graphs
    from edgeslm.backends.tflite.lower.packed import PackedMatrix
    from edgeslm.export.decoder_graph import Window, build_graph
    from edgeslm.export.decoder_weights import joined_names

    decoder, random = _decoder(shape, context), np.random.default_rng(0)
    segments, signatures = cache_segments(context), language_signatures(context)
    windows = {one.name: Window(one.tokens, segments[: one.segments], context + CHUNKS[-1]) for one in signatures}

    def graph(window: Window) -> Any:
        return build_graph(decoder, window, lambda _: np.ones(decoder.width, np.float32)).graph

    def integers(name: str, rows: int, columns: int) -> PackedMatrix:
        if scheme == "int8" or name == joined_names(decoder.embedding.parts):
            codes = random.integers(-127, 128, (rows, columns), np.int8)
            return PackedMatrix("int8", columns, codes, np.full(rows, SPREAD / 73, np.float32))
        pairs = random.integers(0, 256, (rows, columns // 2), np.uint8)
        return PackedMatrix("int4", columns, pairs, np.full((rows, columns // BLOCK), SPREAD / 4, np.float16), BLOCK)

    packed = {}
    for name, value in graph(next(iter(windows.values()))).initializers.items():
        extents = [int(extent) for extent in value.shape]
        if len(extents) == 2 and ".weight" in name:
            packed[name] = integers(name, extents[0], extents[1])
    graphs = ((name, graph(window)) for name, window in windows.items())
    lowered = lower_graphs(graphs, None, None, packed=packed)
    if writers:
        cache = CacheShape(shape.layers, shape.heads, decoder.head_dim, "float32")
        add_cache_writers(lowered, cache, segments, {one.tokens for one in signatures})
    lowered.write(out / "model.tflite")
    described = {
        "context": context,
        "vocabulary": VOCABULARY,
        "layers": shape.layers,
        "kv_heads": shape.heads,
        "head_dim": decoder.head_dim,
        "kv_cache": "float32",
        "segments": list(segments),
        "signatures": [{"name": one.name, "tokens": one.tokens, "segments": one.segments} for one in signatures],
    }
    manifest = {"runtime": "ai-edge-litert", "files": ["model.tflite"], "digest": out.name, "language": described}
    (out / "manifest.json").write_text(json.dumps(manifest))
    _write_tokenizer(out / "tokenizer.json")


def _decoder(shape: Shape, context: int) -> Decoder:
    width, dim = shape.width, shape.width // shape.heads
    rotary = Rotary(tuple((10000.0 ** (-np.arange(0, dim, 2) / dim)).tolist()))
    embedding = Matrix((Part("model.embed_tokens.weight", VOCABULARY),), width)

    def layer(number: int) -> Layer:
        parts = [(Part(ours, rows), columns) for ours, _, rows, columns in shape.matrices(number)]
        output, gate, up, down = (Matrix((part,), columns) for part, columns in parts[3:])
        norms = [f"model.layers.{number}.{name}.weight" for name in ("input_layernorm", "post_attention_layernorm")]
        first, second = (Norm("rms", name, None, EPSILON) for name in norms)
        attention = Matrix(tuple(part for part, _ in parts[:3]), width)
        return Layer(
            first, attention, None, None, output, None, second, gate, up, down, None, window=None, rotary=rotary
        )

    return Decoder(
        family="llama",
        vocabulary=VOCABULARY,
        width=width,
        heads=shape.heads,
        kv_heads=shape.heads,
        head_dim=dim,
        activation="silu",
        positions=context,
        attention_scale=dim**-0.5,
        embedding=embedding,
        embedding_scale=1.0,
        learned_positions=None,
        layers=tuple(layer(number) for number in range(shape.layers)),
        norm=Norm("rms", "model.norm.weight", None, EPSILON),
        head=embedding,
    )


def _write_gguf(out: Path, shape: Shape, scheme: Scheme) -> None:
    gguf: Any = importlib.import_module("gguf")
    llama: Any = importlib.import_module("llama_cpp")
    floats = out / "floats.gguf"
    writer = gguf.GGUFWriter(floats, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(VOCABULARY)
    words, kinds = _words(), gguf.TokenType
    special = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(number) for number in range(VOCABULARY)])
    writer.add_token_types([*special, *[kinds.NORMAL] * (VOCABULARY - len(special))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    random = np.random.default_rng(0)

    def weights(rows: int, columns: int) -> NDArray[np.float32]:
        return random.standard_normal((rows, columns), np.float32) * np.float32(SPREAD)

    writer.add_tensor("token_embd.weight", weights(VOCABULARY, shape.width))
    for layer in range(shape.layers):
        for _, theirs, rows, columns in shape.matrices(layer):
            writer.add_tensor(theirs, weights(rows, columns))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(shape.width, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(shape.width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    settings = llama.llama_model_quantize_default_params()
    settings.ftype = llama.LLAMA_FTYPE_MOSTLY_Q8_0 if scheme == "int8" else llama.LLAMA_FTYPE_MOSTLY_Q4_0
    whole = str(out / "model.gguf").encode()
    status = llama.llama_model_quantize(str(floats).encode(), whole, ctypes.byref(settings))
    floats.unlink()
    if status != 0:
        raise RuntimeError(f"llama.cpp cannot quantize {shape.name}: status {status}")


def _words() -> list[str]:
    """A vocabulary as SentencePiece writes it: three special tokens, the bytes, words."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    return [*words, *(f"▁w{number}" for number in range(VOCABULARY - len(words)))]


def _write_tokenizer(path: Path) -> None:
    """What transformers writes for a Llama: BPE that falls back to bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    vocabulary = {word: number for number, word in enumerate(_words())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in ("<unk>", "<s>", "</s>")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.save(str(path))


def _kept(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, which `make` fills where it is not there yet."""
    folder = cache / name
    if not folder.exists():
        partial = cache / f"{name}.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(folder)
    return folder


def _sources() -> str:
    """Of what makes our models: another graph is another model."""
    digest = hashlib.sha256()
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]
