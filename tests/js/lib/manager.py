# manager.py [-n NAMES] COMMAND... - hold listening sockets for a program, as
# systemd does
#
# Opens a free loopback port for each of NAMES, with colons between (LISTEN_FDNAMES),
# or one without a name, says "port N...", and starts the command with the sockets
# as descriptors 3, 4, ... (LISTEN_FDS). A line on standard input: SIGTERM to the
# program and, when it has ended, start it again, "started"; end of input:
# SIGTERM, and end with it.
import fcntl
import os
import signal
import socket
import subprocess
import sys

command = sys.argv[1:]
names = None
if command[0] == "-n":
    names = command[1]
    command = command[2:]
listeners = [
    socket.create_server(("127.0.0.1", 0), backlog=100)
    for _ in (names or "one").split(":")
]
print("port", *(each.getsockname()[1] for each in listeners), flush=True)


def start():
    def prepare():
        os.environ["LISTEN_PID"] = str(os.getpid())
        # out of the way first: one may have the number of another's place
        fds = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 100) for each in listeners]
        for i, fd in enumerate(fds):
            os.dup2(fd, 3 + i)
        os.execvp(command[0], command)

    os.environ["LISTEN_FDS"] = str(len(listeners))
    if names:
        os.environ["LISTEN_FDNAMES"] = names
    child = subprocess.Popen(["false"], preexec_fn=prepare, close_fds=False)
    print("started", child.pid, flush=True)
    return child


def stop(child):
    child.send_signal(signal.SIGTERM)
    return child.wait()


child = start()
for _ in sys.stdin:
    code = stop(child)
    if code != 0:
        sys.exit(code)
    child = start()
sys.exit(stop(child))
