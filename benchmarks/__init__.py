"""What meshwright costs: workloads made from a seed, edits of them, and clocks beside the real compiler and daemon."""
