"""Other people's engines in a child process: llama.cpp and ONNX Runtime, one protocol."""
