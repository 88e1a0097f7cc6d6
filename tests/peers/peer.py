"""A WebSocket client that shares no code with ours: Python's websockets.

    peer.py echo ws://127.0.0.1:4001/echo
    peer.py channels 'ws://127.0.0.1:8080/socket/websocket?vsn=2.0.0' room:a

Ends with 0 and the last line "ok" when all was as it should be.
"""
import asyncio
import json
import sys

import websockets


async def within(seconds, awaited):
    return await asyncio.wait_for(awaited, seconds)


async def echo(url):
    # It offers compression, and pings by itself.
    async with websockets.connect(url, max_size=None, ping_interval=0.5) as ws:
        assert ws.subprotocol is None
        assert not ws.extensions, ws.extensions
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 1 << 24):
            for message in ("x" * size, b"\xfe" * size):
                await within(10, ws.send(message))
                assert await within(10, ws.recv()) == message, size
        # an iterable is sent in fragments
        parts = ["fr\u00e4g", "", "m\u20acnt", "\U0001f600"]
        for pieces in (parts, [part.encode() for part in parts], ["a"] * 5000):
            await within(10, ws.send(pieces))
            whole = pieces[0][:0].join(pieces)
            assert await within(10, ws.recv()) == whole, whole[:20]
        for payload in (b"", b"\x00\xff", b"p" * 125):
            await within(5, await ws.ping(payload))
        await ws.pong(b"nobody asked")
        # many under way at once
        sent = [str(i) * 1000 for i in range(500)]
        sending = asyncio.ensure_future(asyncio.gather(*map(ws.send, sent)))
        for message in sent:
            assert await within(10, ws.recv()) == message
        await within(10, sending)
        await asyncio.sleep(1.2)  # two of its own pings
        await within(5, ws.close(3001, "bye"))
        assert (ws.close_code, ws.close_reason) == (3001, ""), ws.close_code


class Channels:
    """What a client of channels does, by hand."""

    def __init__(self, ws):
        self.ws = ws
        self.ref = 0

    async def push(self, topic, event, payload, join_ref="1"):
        self.ref += 1
        frame = [join_ref, str(self.ref), topic, event, payload]
        await self.ws.send(json.dumps(frame))
        return str(self.ref)

    async def next(self):
        return json.loads(await within(10, self.ws.recv()))

    async def answer(self, ref):
        """Everything up to the reply, which is the last."""
        heard = [await self.next()]
        while heard[-1][3] != "phx_reply" or heard[-1][1] != ref:
            heard.append(await self.next())
        assert heard[-1][4]["status"] == "ok", heard[-1]
        return heard


async def channels(url, topic):
    options = {"subprotocols": ["x", "phoenix"], "ping_interval": 0.5}
    async with websockets.connect(url, **options) as one, websockets.connect(
        url, **options
    ) as two:
        assert one.subprotocol == two.subprotocol == "phoenix"
        a, b = Channels(one), Channels(two)
        for each in (a, b):
            await each.answer(await each.push(topic, "phx_join", {}))
        ref = await a.push(topic, "say", {"text": "gr\u00fc\u00df dich"})
        heard = await a.answer(ref)
        event = [None, None, topic, "say", {"text": "gr\u00fc\u00df dich"}]
        assert event in heard, heard
        assert await b.next() == event
        await a.answer(await a.push("phoenix", "heartbeat", {}, None))
        await asyncio.sleep(1.2)  # two of its own pings
        await b.answer(await b.push(topic, "phx_leave", {}))
        await a.answer(await a.push(topic, "say", {"n": 2}))
        await b.answer(await b.push("phoenix", "heartbeat", {}, None))
        await within(5, one.close(1000))
        assert one.close_code == 1000, one.close_code
        await two.send("nonsense")
        try:
            await within(5, two.recv())
            raise AssertionError("nonsense was taken")
        except websockets.ConnectionClosed:
            assert two.close_code == 1011, two.close_code


asyncio.run({"echo": echo, "channels": channels}[sys.argv[1]](*sys.argv[2:]))
print("ok")
