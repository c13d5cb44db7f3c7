"""Work shared among processes or threads, with its outcomes in the order of the tasks."""

import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import os
import pickle  # noqa: TID251 -- among processes of one command alone, as multiprocessing does
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, Self, TypeVar

from tfrs_scaling.common.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Generator[Result, None, None]:
    """``map`` in so many threads (1: in this one), for functions that do most of their work without Python's lock.

    >>> list(in_order(abs, [-3, 2, -1], threads=2))
    [3, 2, 1]
    """
    if threads == 1:
        yield from map(function, items)
        return
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    waiting: deque[concurrent.futures.Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def begun(function: Callable[[], Result]) -> "concurrent.futures.Future[Result]":
    """What a function returns, or raises, in a thread that nothing waits for when this process ends."""
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class Worker(Protocol):
    """What a process of a ``Pool`` keeps from one task to the next."""

    def work(self, task: Any) -> Iterator[Any]:
        """The outcomes of a task."""
        ...

    def finish(self) -> Any:
        """What is to be known after the last task."""
        ...


@dataclasses.dataclass(frozen=True)
class _Ended:
    """The end of a task, and the reason if it failed."""

    error: Exception | None = None


_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from tfrs_scaling.common.parallel import serve
serve(int(sys.argv[2]))
"""


# Should a process load TensorFlow, it takes no GPU, and says nothing of that.
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Pool:
    """Workers that share tasks: one in a thread of this process, which is ready at once, the others in their own.

    Those processes are new Pythons that load nothing but what their work needs: what this process has loaded may run
    threads, which a fork would break, and the script that it runs may not expect to be imported again, as
    ``multiprocessing`` does. Ctrl-C and SIGTERM, which reach a whole group, are left to this process; the others end
    with it, however it ends.
    """

    def __init__(self, workers: int, make: Callable[..., Worker], *arguments: Any):
        """Start the workers; each calls ``make`` with its number and the arguments, all of which can be pickled."""
        ours, theirs = multiprocessing.Pipe()
        thread = threading.Thread(target=_serve, args=(theirs,), daemon=True)
        thread.start()
        self._workers: dict[Connection, subprocess.Popen[bytes] | threading.Thread] = {ours: thread}
        command = [sys.executable, "-c", _START, json.dumps(sys.path)]
        with stops_blocked():
            for _ in range(workers - 1):
                ours, theirs = multiprocessing.Pipe()
                with theirs:
                    descriptor = theirs.fileno()
                    self._workers[ours] = subprocess.Popen(  # noqa: S603
                        [*command, str(descriptor)],
                        stdin=subprocess.PIPE,
                        pass_fds=[descriptor],
                        env=os.environ | _ENVIRONMENT,
                    )
        try:
            for number, connection in enumerate(self._workers):
                self._send(connection, (make, number, *arguments))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection, worker in self._workers.items():
            connection.close()
            if isinstance(worker, threading.Thread):
                worker.join()  # until the outcome that it is at
            else:
                worker.kill()
                worker.communicate()

    def outcomes(self, tasks: Iterable[Any], arrived: Callable[[Any], None]) -> Iterator[Any]:
        """The outcomes of all tasks, in the order of the tasks.

        Args:
            tasks: none is None; read one at a time, one ahead of the workers.
            arrived: called with each outcome as soon as it is there.

        Raises:
            InputError: a process was killed.
            Exception: what the first task that failed, or ``tasks``, raised.
        """
        upcoming = iter(tasks)
        doing: dict[Connection, int] = {}
        waiting: dict[int, deque[Any]] = {}  # by task, its outcomes that are not yet yielded
        head = read = 0
        more, task = True, None
        while True:
            while queue := waiting.get(head):
                outcome = queue.popleft()
                if not isinstance(outcome, _Ended):
                    yield outcome
                elif outcome.error is not None:
                    raise outcome.error
                else:
                    del waiting[head]
                    head += 1
            if more and task is None:
                try:
                    task = next(upcoming)
                except StopIteration:
                    more = False
                except Exception as error:
                    waiting[read], more = deque([_Ended(error)]), False
            free = [connection for connection in self._workers if connection not in doing]
            if task is not None and free:
                self._send(free[0], task)
                waiting[read], doing[free[0]], task = deque(), read, None
                read += 1
            elif doing:
                for connection in wait(list(doing)):
                    assert isinstance(connection, Connection)
                    outcome = self._received(connection)
                    waiting[doing[connection]].append(outcome)
                    if isinstance(outcome, _Ended):
                        del doing[connection]
                    else:
                        arrived(outcome)
            elif not waiting:
                return

    def finish(self) -> list[Any]:
        """What each process has to say after the last task.

        Raises:
            InputError: a process was killed.
            Exception: what one of them raised.
        """
        for connection in self._workers:
            self._send(connection, None)
        said = []
        for connection in self._workers:
            said.append(self._received(connection))
            if isinstance(said[-1], _Ended):
                assert said[-1].error is not None
                raise said[-1].error
        return said

    def _send(self, connection: Connection, task: Any) -> None:
        try:
            with open(connection.fileno(), "wb", closefd=False) as stream:
                pickle.dump(task, stream)
        except ConnectionError:
            raise self._death(connection) from None

    def _received(self, connection: Connection) -> Any:
        try:
            return connection.recv()
        except (EOFError, OSError):  # also where a message ends in the middle
            raise self._death(connection) from None

    def _death(self, connection: Connection) -> InputError:
        worker = self._workers[connection]
        status = worker.wait() if isinstance(worker, subprocess.Popen) else None
        if status == -signal.SIGKILL:
            return InputError(
                "a process of --jobs was killed (SIGKILL): usually because the machine ran out of memory; use fewer"
            )
        return InputError(f"a process of --jobs ended with status {status}; --jobs 1 does without them")


def serve(descriptor: int) -> None:
    """Do the work of a ``Pool``'s process, until its parent ends or closes the connection with this descriptor."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(Connection(descriptor))


def _end_with_parent() -> None:
    """End this process with its parent, whose end of standard input closes then: it may be in the midst of a task."""
    sys.stdin.buffer.read()
    os._exit(1)


def _serve(connection: Connection) -> None:
    worker = None
    ended = EOFError, pickle.UnpicklingError, ConnectionError
    with connection, open(connection.fileno(), "rb", closefd=False) as tasks, contextlib.suppress(*ended):
        # Tasks may be large: from a stream, their bytes are read into place, in a quarter of the time of recv().
        make, *arguments = pickle.load(tasks)  # noqa: S301 -- of the parent, through an inherited socket
        while True:
            task = pickle.load(tasks)  # noqa: S301 -- the same
            try:
                worker = worker or make(*arguments)
                for outcome in [worker.finish()] if task is None else worker.work(task):
                    connection.send(outcome)
                connection.send(_Ended())
            except Exception as error:
                connection.send(_Ended(_sendable(error)))


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note, which would be lost on the way."""
    if isinstance(error, InputError | OSError):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))


@contextlib.contextmanager
def stops_blocked() -> Iterator[None]:
    """Processes started within never receive Ctrl-C, nor the SIGTERM of systemd and SLURM, which reach a whole group:
    the parent decides, and they end with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
