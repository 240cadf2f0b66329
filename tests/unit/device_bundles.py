"""Bundles of a few kilobytes for both runtimes, with a model whose outputs numpy computes as well.

The model looks tokens up in a table, and masks them. Then, by task: their mean (embedding), the mean's scores
(classification), or each token's scores (token-classification, fill-mask). The padding token's row is large: padding
that is not masked out shows.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.formats.archive import write_archive

DEVICE = Path(__file__).parents[2] / "edgeslm" / "device"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<mask>", "a", "small", "model", "runs", "here", "well", "?"]
PAD_ID, MASK = 0, "<mask>"
LENGTHS = [4, 8, 16]
HIDDEN = 16
UNUSED = 4  # ids of the model that its tokenizer does not know, as in models padded to a round number
LABELS = ["no", "perhaps", "yes"]
OUTPUT = {"embedding": "sentence_embedding"}  # every other task's is `logits`


class TinyModel:
    """Weights for a task, from a seed."""

    def __init__(self, task: str, seed: int = 0, labels: int = len(LABELS)) -> None:
        random = np.random.default_rng(seed)
        self.task = task
        self.table = random.normal(size=(len(WORDS), HIDDEN)).astype(np.float32)
        self.table[PAD_ID] = 1000.0
        rows = len(WORDS) + UNUSED if task == "fill-mask" else labels
        self.head = random.normal(size=(rows, HIDDEN)).astype(np.float32)

    @property
    def per_token(self) -> bool:
        return self.task in ("token-classification", "fill-mask")

    @property
    def output_shape(self) -> list[int]:
        if self.task == "embedding":
            return [1, HIDDEN]
        return [1, -1, len(self.head)] if self.per_token else [1, len(self.head)]

    def expected(self, ids: list[int]) -> NDArray[np.float32]:
        """The output for one text, without its batch axis."""
        hidden = self.table[ids]
        pooled: NDArray[np.float32] = hidden if self.per_token else hidden.mean(axis=0)
        return pooled if self.task == "embedding" else np.matmul(pooled, self.head.T)


def tokenizer_json() -> bytes:
    """A tokenizer.json with settings of its own that a device has to ignore: padding to 32, at most 6 tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer: Any = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", MASK])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(6)
    content: str = tokenizer.to_str()
    return content.encode()


def openvino_files(model: TinyModel) -> dict[str, bytes]:
    import tempfile

    ov: Any = importlib.import_module("openvino")
    op: Any = importlib.import_module("openvino.opset15")
    ids, mask = (op.parameter([1, -1], np.int32, name=name) for name in ("input_ids", "attention_mask"))
    weights = op.convert(mask, "f32")
    hidden = op.multiply(
        op.gather(op.constant(model.table), ids, op.constant(0)), op.unsqueeze(weights, op.constant(2))
    )
    if not model.per_token:
        count = op.reduce_sum(weights, op.constant(1), keep_dims=True)
        hidden = op.divide(op.reduce_sum(hidden, op.constant(1)), count)
    result = hidden if model.task == "embedding" else op.matmul(hidden, op.constant(model.head), False, True)
    graph = ov.Model([op.result(result)], [ids, mask], "tiny")
    for node, name in zip(graph.inputs, ("input_ids", "attention_mask"), strict=True):
        node.set_names({name})
    graph.outputs[0].set_names({OUTPUT.get(model.task, "logits")})
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(graph, f"{folder}/model.xml", compress_to_fp16=False)
        return {f"model/{name}": Path(folder, name).read_bytes() for name in ("model.xml", "model.bin")}


def tflite_files(model: TinyModel) -> dict[str, bytes]:
    """One signature per length, sharing the weights' buffers."""
    flatbuffers: Any = importlib.import_module("flatbuffers")
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    graph = _Graph(schema)
    for length in LENGTHS:
        graph.begin()
        ids, mask = (
            graph.tensor("input_ids", [1, length], "INT32"),
            graph.tensor("attention_mask", [1, length], "INT32"),
        )
        looked_up = graph.apply("GATHER", [graph.constant(model.table), ids], [1, length, HIDDEN], "Gather")
        weights = graph.apply("CAST", [mask], [1, length])
        columns = graph.apply("RESHAPE", [weights, graph.constant(np.array([1, length, 1], np.int32))], [1, length, 1])
        result = graph.apply("MUL", [looked_up, columns], [1, length, HIDDEN], "Mul")
        if not model.per_token:
            axis = graph.constant(np.array([1], np.int32))
            count = graph.apply("SUM", [weights, axis], [1, 1], "Reducer", keepDims=True)
            total = graph.apply("SUM", [result, axis], [1, HIDDEN], "Reducer")
            result = graph.apply("DIV", [total, count], [1, HIDDEN], "Div")
        if model.task != "embedding":
            shape = [length if extent == -1 else extent for extent in model.output_shape]
            head = graph.constant(model.head)
            result = graph.apply("FULLY_CONNECTED", [result, head, -1], shape, "FullyConnected", keepNumDims=True)
        graph.end(f"tokens_{length}", {"input_ids": ids, "attention_mask": mask}, {_output(model): result})
    builder = flatbuffers.Builder(4096)
    builder.Finish(graph.model.Pack(builder), b"TFL3")
    return {"model/model.tflite": bytes(builder.Output())}


class _Graph:
    """A ModelT in the making, a subgraph at a time."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.subgraphs, self.model.signatureDefs = [], [], []
        self.model.buffers = [schema.BufferT()]
        self._codes: dict[str, int] = {}
        self._buffers: dict[bytes, int] = {}

    def begin(self) -> None:
        self.subgraph = self.schema.SubGraphT()
        self.subgraph.tensors, self.subgraph.operators = [], []

    def tensor(self, name: str, shape: list[int], kind: str = "FLOAT32", buffer: int = 0) -> int:
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
        tensor.type = getattr(self.schema.TensorType, kind)
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def constant(self, array: NDArray[Any]) -> int:
        content = array.tobytes()
        if content not in self._buffers:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            self.model.buffers.append(buffer)
            self._buffers[content] = len(self.model.buffers) - 1
        return self.tensor("constant", list(array.shape), str(array.dtype).upper(), self._buffers[content])

    def apply(self, op: str, inputs: list[int], shape: list[int], options: str = "", **values: Any) -> int:
        if op not in self._codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = getattr(self.schema.BuiltinOperator, op)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = 1
            self._codes[op] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._codes[op], inputs
        if options:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{options}Options")
            operator.builtinOptions = getattr(self.schema, f"{options}OptionsT")()
            for name, value in values.items():
                setattr(operator.builtinOptions, name, value)
        output = self.tensor(f"{op}_{len(self.subgraph.tensors)}", shape)
        operator.outputs = [output]
        self.subgraph.operators.append(operator)
        return output

    def end(self, signature: str, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        self.subgraph.inputs, self.subgraph.outputs = list(inputs.values()), list(outputs.values())
        definition = self.schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = signature, len(self.model.subgraphs)
        definition.inputs, definition.outputs = self._map(inputs), self._map(outputs)
        self.model.subgraphs.append(self.subgraph)
        self.model.signatureDefs.append(definition)

    def _map(self, tensors: dict[str, int]) -> list[Any]:
        entries = []
        for name, index in tensors.items():
            entry = self.schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            entries.append(entry)
        return entries


RUNTIMES = {"ai-edge-litert": tflite_files, "openvino": openvino_files}


def members(model: TinyModel, runtime: str, **changes: Any) -> dict[str, bytes]:
    """A bundle's members. `changes` are put into its manifest."""
    made = RUNTIMES[runtime](model)
    files = {**made, "tokenizer/tokenizer.json": tokenizer_json()}
    files.update(
        {f"edgeslm_device/{source.relative_to(DEVICE)}": source.read_bytes() for source in DEVICE.rglob("*.py")}
    )
    labels = LABELS[: len(model.head)] if "classification" in model.task else []
    manifest = {
        "schema_version": 1,
        "edgeslm": "0.1.0",
        "name": "tiny",
        "task": model.task,
        "model": describe(model, runtime, list(made)),
        "tokenizer": {"file": "tokenizer/tokenizer.json", "max_length": 16, "pad_id": PAD_ID, "mask_token": MASK},
        "labels": labels,
        "files": {name: {"sha256": _sha256(content), "bytes": len(content)} for name, content in files.items()},
        **changes,
    }
    return {"manifest.json": json.dumps(manifest).encode(), **files}


def describe(model: TinyModel, runtime: str, files: list[str]) -> dict[str, Any]:
    """The manifest's `model` object."""
    return {
        "runtime": runtime,
        "files": files,
        "digest": _sha256(model.table.tobytes() + model.head.tobytes()),
        "pad_id": PAD_ID,
        "scheme": "fp32",
        "lengths": LENGTHS,
        "signatures": {} if runtime == "openvino" else {str(length): f"tokens_{length}" for length in LENGTHS},
        "inputs": [{"name": name, "dtype": "int32", "shape": [1, -1]} for name in ("input_ids", "attention_mask")],
        "outputs": [{"name": _output(model), "dtype": "float32", "shape": model.output_shape}],
    }


def write_file(path: Path, files: dict[str, bytes]) -> Path:
    write_archive(path, files)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def _output(model: TinyModel) -> str:
    return OUTPUT.get(model.task, "logits")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
