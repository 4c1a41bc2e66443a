"""Core ML models: their headers, and the recipes by which constants are computed."""
