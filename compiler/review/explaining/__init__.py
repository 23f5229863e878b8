"""From a field to the lines that set it, and back, by taking something out and compiling again."""
