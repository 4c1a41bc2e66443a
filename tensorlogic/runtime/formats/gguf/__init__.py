"""GGUF files: their headers and split parts, their blocks repacked or expanded, and the writing of such files."""
