// All of sidecar.test.js once more, with sockets left to libmicrohttpd: what
// the side-car does where none can be taken from it (sidecar/upgrade.h).
process.env.HOLDFAST_TEST_KEEP = "1";
await import("./sidecar.test.js");
