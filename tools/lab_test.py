"""Every notebook from top to bottom in JupyterLab's own server, as `make lab` and "Run All Cells" would run it.

    python tools/lab_test.py [nbs/06_hopfield.ipynb …]

nbdev_test runs cells in a shell of its own. Readers have a Jupyter kernel: another process, another event loop, figures
that travel as messages. So each notebook also runs there, over the server's REST interface and a kernel's websocket. It
must raise nothing, draw as many pictures as are stored in it, and leave no file outside `runs/`. Cells that nbdev_test
skips (`tst_flags` in settings.ini: `cuda` needs a GPU, `slow` and `notest` say what they are) are skipped here too; the
slow ones run once, in tools/test.py.
"""
import configparser, json, os, re, secrets, socket, subprocess, sys, tempfile, time, uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import requests, websocket

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT/'nbs').glob('*.ipynb'))
MOST = 600 # seconds that a kernel may be silent


class Failed(Exception): "What went wrong in a notebook, to be read by a person."


def someone_elses_kernel(folder):
    "A `python3` of the user's own, which starts nothing: the project's must go before it."
    spec = folder/'kernels'/'python3'/'kernel.json'
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps(dict(argv=['false'], display_name='of somebody else', language='python')))


@contextmanager
def lab():
    "Within, JupyterLab serves nbs/ on 127.0.0.1, away from the user's own settings: its address and a session that may ask it."
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port, token, folder = free.getsockname()[1], secrets.token_hex(16), Path(folder)
        someone_elses_kernel(folder/'data')
        free.close()
        env = {k: v for k, v in os.environ.items() if k not in ('MPLBACKEND', 'JUPYTER_PATH', 'IN_TEST')}
        env |= dict(JUPYTER_TOKEN=token, OMP_NUM_THREADS='1', **{f'JUPYTER_{k.upper()}_DIR': str(folder/k) for k in ('config', 'data', 'runtime')},
                    IPYTHONDIR=str(folder/'ipython'))
        command = [sys.executable, '-m', 'jupyter', 'lab', 'nbs', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--ServerApp.port={port}',
                   '--ServerApp.port_retries=0']
        with open(folder/'log', 'w') as log: server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            ask = requests.Session()
            ask.trust_env, ask.headers['Authorization'] = False, f'token {token}'
            yield wait_for(f'http://127.0.0.1:{port}', ask, server, folder/'log'), ask
        finally:
            server.terminate()
            try: server.wait(30)
            except subprocess.TimeoutExpired: server.kill()


def wait_for(url, ask, server, log):
    "Until the server answers."
    for _ in range(300):
        if server.poll() is not None: break
        try:
            if ask.get(f'{url}/api/status').ok: return url
        except requests.ConnectionError: pass
        time.sleep(0.2)
    raise Failed(f'JupyterLab did not start:\n{log.read_text()[-3000:]}')


class Kernel:
    "A notebook's kernel, as the page in the browser has it."
    def __init__(self, url, ask, path, name):
        self.url, self.ask = url, ask
        made = ask.post(f'{url}/api/sessions', json=dict(path=path, name=path, type='notebook', kernel=dict(name=name)))
        if not made.ok: raise Failed(f'no kernel {name!r}: the server answers {made.status_code}')
        self.session, self.id = made.json()['id'], made.json()['kernel']['id']
        socket_url = f'{url.replace("http", "ws", 1)}/api/kernels/{quote(self.id)}/channels?session_id={self.session}'
        self.channel = websocket.create_connection(socket_url, header=[f'Authorization: {ask.headers["Authorization"]}'], suppress_origin=True, timeout=MOST)

    def run(self, code):
        "The messages that a cell sends, until the kernel is idle again."
        header = dict(msg_id=uuid.uuid4().hex, session=self.session, username='', msg_type='execute_request', version='5.3')
        content = dict(code=code, silent=False, store_history=True, user_expressions={}, allow_stdin=False, stop_on_error=True)
        self.channel.send(json.dumps(dict(header=header, parent_header={}, metadata={}, content=content, channel='shell', buffers=[])))
        found = []
        while True:
            message = json.loads(self.receive())
            kind, content = message['header']['msg_type'], message['content']
            if kind == 'status' and content['execution_state'] in ('dead', 'restarting'): raise Failed('the kernel died')
            if message['parent_header'].get('msg_id') != header['msg_id'] or message['channel'] != 'iopub': continue
            if kind == 'status' and content['execution_state'] == 'idle': return found
            found.append((kind, content))

    def receive(self):
        "A message as text; where one carries buffers, they come after it."
        try: message = self.channel.recv()
        except websocket.WebSocketTimeoutException: raise Failed(f'the kernel was silent for {MOST} s') from None
        if isinstance(message, str): return message
        parts = int.from_bytes(message[:4], 'big')
        starts = [int.from_bytes(message[4*(i+1):4*(i+2)], 'big') for i in range(parts)]
        return message[starts[0]:starts[1] if parts > 1 else None].decode()

    def close(self):
        self.channel.close()
        self.ask.delete(f'{self.url}/api/sessions/{self.session}')


def pictures(outputs): return sum('image/png' in o.get('data', {}) for o in outputs)


def check(kernel, number, cell):
    "Run a cell; what it wrote to stderr."
    messages = kernel.run(''.join(cell['source']))
    for kind, content in messages:
        if kind == 'error': raise Failed(f'cell {number}:\n' + re.sub(r'\x1b\[[\d;]*m', '', '\n'.join(content['traceback'])))
    stderr = ''.join(content['text'] for kind, content in messages if kind == 'stream' and content['name'] == 'stderr')
    if 'rate exceeded' in stderr: raise Failed(f'cell {number}: the server dropped outputs:\n{stderr}')
    drawn, stored = pictures(content for kind, content in messages if kind in ('display_data', 'execute_result')), pictures(cell['outputs'])
    if drawn != stored: raise Failed(f'cell {number}: {drawn} pictures came, {stored} are stored in the notebook')
    return stderr


def skipped():
    "Which marks of a cell say that it is not for here."
    config = configparser.ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini')
    return {*config['DEFAULT']['tst_flags'].split(), 'eval: false'}


def notebook(url, ask, path):
    "Run a notebook's cells one after another: name, whether all went well, seconds, what is to be said."
    start, nb, stderr = time.perf_counter(), json.loads(path.read_text()), ''
    try:
        kernel = Kernel(url, ask, path.name, nb['metadata']['kernelspec']['name'])
        try:
            for number, cell in enumerate(nb['cells']):
                marks = set(re.findall(r'^#\|\s*(.*?)\s*$', ''.join(cell['source']), re.M))
                if cell['cell_type'] == 'code' and not marks & skipped(): stderr += check(kernel, number, cell)
        finally: kernel.close()
    except (Failed, OSError, websocket.WebSocketException) as e: return f'{path.name} in JupyterLab', False, time.perf_counter() - start, str(e)
    return f'{path.name} in JupyterLab', True, time.perf_counter() - start, stderr


def right_python(url, ask):
    "The kernel that opens by default must be the project's Python."
    start, default = time.perf_counter(), ask.get(f'{url}/api/kernelspecs').json()['default']
    try:
        kernel = Kernel(url, ask, 'new.ipynb', default)
        try: said = ''.join(c['text'] for kind, c in kernel.run('import sys; print(sys.prefix, end="")') if kind == 'stream')
        finally: kernel.close()
    except (Failed, OSError, websocket.WebSocketException) as e: said = f'no Python ({str(e)[:300]})'
    return "JupyterLab's own kernel", said == sys.prefix, time.perf_counter() - start, f'{default!r} is {said}, and not {sys.prefix}'


def files():
    "Every file of the project that no notebook may touch."
    free, found = {ROOT/p for p in ('.git', '.venv', 'runs', 'nbs/runs')}, {}
    for folder, below, names in os.walk(ROOT):
        below[:] = [d for d in below if d != '__pycache__' and Path(folder, d) not in free]
        stats = {Path(folder, name): os.lstat(Path(folder, name)) for name in names}
        found |= {str(path.relative_to(ROOT)): (s.st_mtime_ns, s.st_size) for path, s in stats.items()}
    return found


def results(paths, side_by_side=2):
    "Yields name, success, seconds and words, for the server's Python, each notebook and the files left behind."
    start, before = time.perf_counter(), files()
    with lab() as (url, ask), ThreadPoolExecutor(side_by_side) as pool:
        yield right_python(url, ask)
        yield from pool.map(lambda p: notebook(url, ask, p), paths)
    after = files()
    changed = [name for name in sorted({**before, **after}) if before.get(name) != after.get(name)]
    yield 'notebooks write nothing outside runs/', not changed, time.perf_counter() - start, 'new or changed: ' + ', '.join(changed)


def main():
    failed = 0
    for name, ok, seconds, words in results([Path(a).resolve() for a in sys.argv[1:]] or NOTEBOOKS, min(2, os.cpu_count() or 1)):
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {seconds:6.1f} s  {name}", *([] if ok else ['\n' + words[-6000:]]), flush=True)
    sys.exit(failed > 0)


if __name__ == '__main__': main()
