"""hello.py SOCKET - join a channel over a WebSocket of the side-car

Nothing but what Python brings along. What is sent is short and masked with
zeros, what comes back is one frame below 64 KiB.
"""
import json
import socket
import struct
import sys

GREETING = (
    "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
    "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

with socket.socket(socket.AF_UNIX) as sidecar:
    sidecar.settimeout(30)
    sidecar.connect(sys.argv[1])
    sidecar.sendall(GREETING.encode())
    stream = sidecar.makefile("rb")
    status = stream.readline()
    assert b" 101 " in status, status
    while stream.readline().strip():
        pass
    join = json.dumps(["1", "2", "room:lobby", "phx_join", {}]).encode()
    assert len(join) < 126
    sidecar.sendall(bytes([0x81, 0x80 | len(join), 0, 0, 0, 0]) + join)
    _, length = stream.read(2)
    if length == 126:
        (length,) = struct.unpack(">H", stream.read(2))
    answer = json.loads(stream.read(length))
    assert answer[4]["status"] == "ok", answer
