"""What a person asks of a proxy, a policy or a service, in the JSON of Kuma's read API (kuma-core §9.2)."""
