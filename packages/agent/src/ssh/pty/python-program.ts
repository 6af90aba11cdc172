/**
 * The helper of the Python rung, for Python 3.3 and later, with nothing but
 * its standard library. It makes the terminal, starts the command in it and
 * copies: its standard input to the terminal, the terminal to its standard
 * output, never holding more than 64 KiB each way.
 *
 * Descriptor 3 is a socket of lines. To the helper: one line of JSON (file,
 * argv, env, cwd, cols, rows, modes), then `size COLS ROWS`. From it: `pid N`,
 * then `exit CODE` or `signal NUMBER`. When it closes, the terminal hangs up.
 */
export const PYTHON_PROGRAM = `
import errno, fcntl, json, os, select, signal, struct, sys, termios, time

CONTROL = 3
CHUNK = 65536

def size(fd, cols, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

def apply(fd, modes):
    a = termios.tcgetattr(fd)
    for name, value in modes.items():
        number = getattr(termios, name, None)
        if number is None:
            continue
        if name[0] == 'V':
            a[6][number] = bytes([0 if value == 255 else value])
            continue
        if name in ('IGNPAR', 'PARMRK', 'INPCK', 'ISTRIP', 'INLCR', 'IGNCR', 'ICRNL', 'IUCLC', 'IXON', 'IXANY', 'IXOFF', 'IMAXBEL'):
            i = 0
        elif name in ('OPOST', 'OLCUC', 'ONLCR', 'OCRNL', 'ONOCR', 'ONLRET'):
            i = 1
        else:
            i = 3
        a[i] = a[i] | number if value else a[i] & ~number
    a[0] |= getattr(termios, 'IUTF8', 0o40000)
    termios.tcsetattr(fd, termios.TCSANOW, a)

def say(text):
    try:
        os.write(CONTROL, (text + '\\n').encode())
    except OSError:
        pass

def receive(fd):
    try:
        return os.read(fd, CHUNK)
    except OSError as e:
        return None if e.errno in (errno.EAGAIN, errno.EINTR) else b''

def send(fd, data):
    try:
        return os.write(fd, data)
    except OSError as e:
        return 0 if e.errno in (errno.EAGAIN, errno.EINTR) else -1

def members(leader):
    # All of the session: a shell's jobs are groups of their own, and it may end without telling them.
    found = [leader]
    for name in os.listdir('/proc') if os.path.isdir('/proc') else []:
        try:
            with open('/proc/%d/stat' % int(name), 'rb') as f:
                if int(f.read().rsplit(b')', 1)[1].split()[3]) == leader and int(name) != leader:
                    found.append(int(name))
        except (OSError, ValueError, IndexError):
            pass
    return found

def child(order, master, slave):
    try:
        os.setsid()
        os.close(master)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        for name in ('SIGPIPE', 'SIGXFSZ', 'SIGXFZ', 'SIGCHLD', 'SIGINT'):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.closerange(3, 64)
        # As bytes: what Python makes of text depends on the locale.
        file = order['file'].encode()
        argv = [word.encode() for word in order['argv']]
        env = dict((name.encode(), value.encode()) for name, value in order['env'].items())
        try:
            os.chdir(order['cwd'].encode())
        except OSError:
            os.chdir('/')
        try:
            os.execvpe(file, argv, env)
        except OSError as e:
            os.write(2, file + (': %s\\r\\n' % e.strerror).encode())
            os._exit(126 if e.errno == errno.EACCES else 127)
    finally:
        os._exit(127)

def main():
    lines = b''
    while b'\\n' not in lines:
        data = os.read(CONTROL, CHUNK)
        if not data:
            return
        lines += data
    first, lines = lines.split(b'\\n', 1)
    order = json.loads(first.decode())
    wake_in, wake_out = os.pipe()
    for fd in (wake_in, wake_out, 0, 1, CONTROL):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_out)
    for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    master, slave = os.openpty()
    apply(slave, order['modes'])
    size(slave, order['cols'], order['rows'])
    pid = os.fork()
    if pid == 0:
        child(order, master, slave)
    os.close(slave)
    os.set_blocking(master, False)
    order = first = None
    say('pid %d' % pid)
    shown = typed = b''
    reading = typing = alive = True
    left = 4 * CHUNK
    while True:
        r, w = [CONTROL, wake_in], []
        if shown:
            w.append(1)
        elif reading:
            r.append(master)
        if alive and typed:
            w.append(master)
        elif alive and typing:
            r.append(0)
        # Only what was asked for after the end, and is not there, will not come.
        last = not alive and master in r
        r, w, _ = select.select(r, w, [], None if alive or shown else 0.05)
        if wake_in in r:
            receive(wake_in)
        if alive:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                alive = False
                if os.WIFSIGNALED(status):
                    say('signal %d' % os.WTERMSIG(status))
                else:
                    say('exit %d' % os.WEXITSTATUS(status))
        if CONTROL in r:
            data = receive(CONTROL)
            if data == b'':
                break
            lines += data or b''
            while b'\\n' in lines:
                line, lines = lines.split(b'\\n', 1)
                word = line.split()
                if len(word) == 3 and word[0] == b'size':
                    size(master, int(word[1]), int(word[2]))
        if 0 in r:
            data = receive(0)
            if data == b'':
                typing = False
            elif data:
                typed = data
        if master in w:
            n = send(master, typed)
            typed = b'' if n < 0 else typed[n:]
        if 1 in w:
            n = send(1, shown)
            if n < 0:
                break
            shown = shown[n:]
        if master in r:
            parts, total = [], 0
            while total < CHUNK:
                data = receive(master)
                if data:
                    parts.append(data)
                    total += len(data)
                    continue
                if data == b'':
                    reading = False
                break
            shown = b''.join(parts)
            if not alive:
                left -= total
                if left <= 0:
                    reading = False
        if not alive and not shown and (not reading or (last and master not in r)):
            return
    os.close(master)
    if alive:
        for number in (signal.SIGHUP, signal.SIGCONT, None, signal.SIGKILL):
            if number is None:
                for _ in range(60):
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        return
                    time.sleep(0.05)
                continue
            # What ignores the hang-up, as nohup asks, stays.
            for member in [pid] if number == signal.SIGKILL else members(pid):
                try:
                    os.kill(member, number)
                except OSError:
                    pass
        os.waitpid(pid, 0)

main()
`;
