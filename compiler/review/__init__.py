"""What a pull request sees: a change compared in the very bytes that Envoy gets, before it merges."""
