// All of sidecar.test.js once more, with clients that come by wss.
process.env.HOLDFAST_TEST_TLS = "1";
await import("./sidecar.test.js");
