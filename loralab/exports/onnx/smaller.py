"""Owns the int8 and uint8 forms: ONNX Runtime's dynamic quantisation, from file to file.

Invariant: weights become whole numbers of eight bits with a scale per channel; what is computed on the way is rounded when it runs.
"""

from __future__ import annotations

from pathlib import Path

from loralab.exports.onnx.graph import FILE, quiet


def quantise(source: Path, target: Path, *, signed: bool) -> None:
    """Write the eight-bit form of the graph in the folder `source` to the folder `target`; the file in `source` is changed."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        graph = onnx.load(str(source / FILE), load_external_data=False)
        weights = {initializer.name for initializer in graph.graph.initializer}
        # The quantiser turns some weights round and then stumbles over the sizes noted for them.
        noted = [info for info in graph.graph.value_info if info.name not in weights]
        del graph.graph.value_info[:]
        graph.graph.value_info.extend(noted)
        onnx.save(graph, str(source / FILE))
        kind = QuantType.QInt8 if signed else QuantType.QUInt8
        quantize_dynamic(source / FILE, target / FILE, per_channel=True, weight_type=kind, use_external_data_format=True)
