"""The device model: its inputs, the projection of rows to vectors, and the ONNX Runtime session."""
