"""Invariants that need more than a sentence: each function gets the mesh, with Envoy's resources as dataclasses."""


def test_every_route_that_forwards_has_a_timeout(mesh):
    for proxy in mesh.proxies:
        for name, routes in proxy.routes.items():
            for host in routes.virtual_hosts:
                for route in host.routes:
                    if route.route is not None:
                        assert route.route.timeout is not None, f"{proxy.node}: {name} {host.name}"
