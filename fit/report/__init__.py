"""The page, its tables and figures, and the same findings for TensorBoard."""
