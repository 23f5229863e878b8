"""What `kumactl` and `kubectl` print, as files of a mesh repository."""
