"""Owns what an ONNX export is made of: the graph, its smaller forms, ONNX Runtime as a runtime, and the guide that goes with it.

Invariant: onnx, onnxscript and onnxruntime are optional; without them nothing here is imported and the format says how to get them.
"""
