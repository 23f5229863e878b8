"""Programs that are started while gRPC is at work, as `dataplane run` starts an agent anew beside its probes."""

import os
import subprocess
import sys

_PROGRAM = """
import asyncio, subprocess, sys
import compiler.cli.start as start
sys.argv = ["meshwright", "version"]
try:
    start.main()
except SystemExit as end:
    assert not end.code
import grpc.aio
from compiler.dataplane.children import die_with_parent

async def echo(requests, context):
    async for request in requests:
        await context.write(request)

async def start_programs():
    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.Service", {"Echo": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream("/a.Service/Echo")()
        for _ in range(100):
            await call.write(b"x")
            await call.read()
            program = await asyncio.create_subprocess_exec(
                "/bin/true", preexec_fn=die_with_parent(), stderr=subprocess.PIPE
            )
            _, said = await asyncio.wait_for(program.communicate(), 60)
            assert (program.returncode, said) == (0, b""), (program.returncode, said)
    await server.stop(None)

asyncio.run(start_programs())
"""


def test_a_program_begins_whatever_grpc_does_meanwhile() -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
