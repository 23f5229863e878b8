"""The HTTP/2 that a gRPC server of bidirectional streams needs, on plain sockets; it knows nothing of xDS."""
