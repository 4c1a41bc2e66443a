"""Safetensors files: their headers, the schemes of quantized weights in them, and the writing of such files."""
