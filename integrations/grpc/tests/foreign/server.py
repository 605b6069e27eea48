"""A server of gRPC's C core that greets, by generic handlers: no code is generated for it.

It says on which port it serves, writes each name to a log before it greets, and takes as many milliseconds for a greeting
as the request has times. SIGTERM stops it gracefully; it ends by itself once its input does.
"""

import argparse
import os
import signal
import sys
import threading
import time
from concurrent import futures

import grpc

try:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
except ImportError:  # Debian has no package of it.
    health = None


def fields(message):
    """Returns the fields of a message of protobuf that has only numbers and short texts."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = message[at : at + value], at + value
        found[key >> 3] = value
    return found


def greeter(log):
    def say_hello(request, _context):
        request = fields(request)
        name = request.get(1, b"")
        os.write(log, name + b"\n")
        time.sleep(request.get(2, 0) / 1000)
        message = b"Hello " + name
        return b"\x0a" + bytes([len(message)]) + message

    handler = grpc.unary_unary_rpc_method_handler(say_hello)
    return grpc.method_handlers_generic_handler("tenure.greeter.Greeter", {"SayHello": handler})


def add_health(server):
    if health is None:
        handler = grpc.unary_unary_rpc_method_handler(lambda *_: b"\x08\x01")
        handlers = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        return server.add_generic_rpc_handlers((handlers,))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    return health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True)
    parser.add_argument("--max-age", type=int, help="of connections, in milliseconds")
    parser.add_argument("--max-streams", type=int, help="at once, on each connection")
    chosen = parser.parse_args()
    options = []
    if chosen.max_age:
        options.append(("grpc.max_connection_age_ms", chosen.max_age))
        options.append(("grpc.max_connection_age_grace_ms", 5000))
    if chosen.max_streams:
        options.append(("grpc.max_concurrent_streams", chosen.max_streams))
    log = os.open(chosen.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    server.add_generic_rpc_handlers((greeter(log),))
    add_health(server)
    port = server.add_insecure_port(f"127.0.0.1:{chosen.port}")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def end_with_input():
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=end_with_input, daemon=True).start()
    server.start()
    print(f"grpcio {grpc.__version__} serves on port {port}", flush=True)
    while not stopped.wait(0.05):
        pass
    server.stop(5).wait()


main()
