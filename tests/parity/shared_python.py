"""One Python for all scripts that compare with PyTorch and PEFT: what takes seconds to import is
imported once, and each script runs in a fork of it.

    shared_python.py start SOCKET
    shared_python.py run SOCKET SCRIPT ARGUMENT...
    shared_python.py stop SOCKET

`run` hands its working directory, its environment and its three standard streams to a fork and ends
with the script's exit status; when `run` is killed, so is what the script has started. The server
ends by itself after ten minutes without a script.
"""

import array
import contextlib
import json
import os
import pathlib
import signal
import socket
import sys
import threading

LONGEST_IDLE_S = 600


def import_what_takes_long():
    # A fork keeps only the thread that made it.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    import peft  # noqa: F401
    import torch
    import transformers.pytorch_utils  # noqa: F401
    from safetensors import torch as _  # noqa: F401

    # The exporter's own modules are imported by its first use.
    torch.set_num_threads(1)
    torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),))


def run_script(connection, request, streams):
    """In the fork, which does not return."""
    os.setsid()

    def end_with_the_client():
        if not connection.recv(1):
            os.killpg(0, signal.SIGKILL)

    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    sys.argv = request["arguments"]
    script = pathlib.Path(sys.argv[0])
    sys.path[0] = str(script.parent)
    threading.Thread(target=end_with_the_client, daemon=True).start()
    status = 0
    try:
        code = compile(script.read_text(), str(script), "exec")
        main = type(sys)("__main__")
        main.__file__ = str(script)
        sys.modules["__main__"] = main  # where unittest looks for the tests
        exec(code, main.__dict__)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([status & 255]))
    os._exit(0)


@contextlib.contextmanager
def inside(folder):
    """The name of a socket has 107 bytes at most: it is named from its folder."""
    before = os.getcwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def receive(connection):
    streams = array.array("i")
    message, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(3 * streams.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data)
    return message, list(streams)


def serve(listener):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave no zombies
    listener.settimeout(LONGEST_IDLE_S)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        message, streams = receive(connection)
        if message == b"stop":
            return
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run_script(connection, json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        connection.close()


def start(path):
    """Returns when scripts can be run; the server goes on in the background."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    import_what_takes_long()
    running = len(os.listdir("/proc/self/task"))
    if running != 1:
        sys.exit(f"{running} threads run after the imports: a fork would lose all but one")
    with inside(path.parent):
        listener.bind(path.name)
    made = path.stat().st_ino
    listener.listen()
    if os.fork() != 0:
        return
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        serve(listener)
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == made:  # else another was started in its place
                path.unlink()
        os._exit(0)


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with inside(path.parent):
        connection.connect(path.name)
    return connection


def run(path, arguments):
    """The script's exit status."""
    connection = connect(path)
    request = {
        "arguments": arguments,
        "directory": os.getcwd(),
        "environment": dict(os.environ),
    }
    streams = array.array("i", [0, 1, 2])
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)
    connection.sendmsg([json.dumps(request).encode()], [rights])
    answer = connection.recv(1)
    if not answer:
        sys.exit(f"{arguments[0]} was ended by a signal")
    return answer[0]


def stop(path):
    try:
        connect(path).sendall(b"stop")
    except (FileNotFoundError, ConnectionRefusedError):
        pass  # idle for too long


def main():
    verb, path, arguments = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    if verb == "start":
        start(path)
    elif verb == "stop":
        stop(path)
    else:
        sys.exit(run(path, arguments))


if __name__ == "__main__":
    main()
