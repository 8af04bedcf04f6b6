"""Other people's engines in a child process: llama.cpp, transformers and ONNX Runtime, asked the same questions."""
