# manager.py COMMAND... - hold a listening socket for a program, as systemd does
#
# Opens a free loopback port, says "port N", and starts the command with that
# socket as descriptor 3 (LISTEN_FDS). A line on standard input: SIGTERM to the
# program and, when it has ended, start it again, "started"; end of input:
# SIGTERM, and end with it.
import os
import signal
import socket
import subprocess
import sys

listener = socket.create_server(("127.0.0.1", 0), backlog=100)
print("port", listener.getsockname()[1], flush=True)


def start():
    def prepare():
        os.environ["LISTEN_PID"] = str(os.getpid())
        if listener.fileno() == 3:
            os.set_inheritable(3, True)
        else:
            os.dup2(listener.fileno(), 3)
        os.execvp(sys.argv[1], sys.argv[1:])

    os.environ["LISTEN_FDS"] = "1"
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
