"""The test command: everything generated is up to date, every module imports alone, every notebook runs, the site can be read.

    python tools/test.py [--gpu]

Notebooks run twice: as nbdev_test runs them, and in a kernel of JupyterLab's server (tools/lab_test.py).

With --gpu the cells marked `cuda` run too, and their count goes to results/gpu_tests.json.
"""
import argparse, hashlib, json, os, re, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77 # what a tool exits with if this machine lacks what it needs
NOTEBOOKS = sorted(p for p in (ROOT/'nbs').glob('*.ipynb'))
FAULTS = ROOT/'nbs'/'runs'/'faults.txt' # the table that 11c_faults leaves


def run(*command, **env):
    "Run a command in the project; its exit status, output and seconds."
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'MPLBACKEND': 'agg', **env})
    return done.returncode, done.stdout + done.stderr, time.perf_counter() - start


def unchanged(name, command, files):
    "A generator must find nothing to do."
    digest = lambda: {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files()}
    before = digest()
    code, out, seconds = run(*command)
    after = digest()
    changed = [str(p.relative_to(ROOT)) for p in {**before, **after} if before.get(p) != after.get(p)]
    if code == SKIPPED: return name, None, seconds, out
    return name, code == 0 and not changed, seconds, out if code else f"{name} changed {', '.join(changed)}: run it and commit the result"


def imports(module):
    "A module must import in a process of its own, and quietly."
    code, out, seconds = run(sys.executable, '-W', 'error::FutureWarning', '-c', f'import {module}')
    return f'import {module}', code == 0, seconds, out


def notebook(path, gpu):
    "A notebook must run from top to bottom, its slow cells too; those marked `cuda` only on a GPU."
    flags = ['--flags', 'cuda' if gpu else 'slow']
    code, out, seconds = run(sys.executable, '-m', 'nbdev.test', '--path', str(path), '--n_workers', '0', *flags, OMP_NUM_THREADS='1' if not gpu else '2')
    return path.name, code == 0, seconds, out


def browser():
    "The site must pass its test in a real browser, where there is one."
    code, out, seconds = run(sys.executable, 'tools/browser_test.py')
    return 'browser test', None if code == SKIPPED else code == 0, seconds, out


def show(result, note=''):
    "A line for a result, and what it printed if it failed."
    name, ok, seconds, out = result
    last = (out.strip().splitlines() or [''])[-1]
    print(f"{'skip' if ok is None else 'ok  ' if ok else 'FAIL'} {seconds:6.1f} s  {name}{note if ok else ''}" + (f': {last}' if ok is None else ''), *([] if ok or ok is None else ['\n' + out[-6000:]]), flush=True)
    return result


def stored():
    "Stored outputs must be nobody's: no error, and no path of the machine they were made on."
    start, found = time.perf_counter(), []
    for path in NOTEBOOKS:
        for i, cell in enumerate(json.loads(path.read_text())['cells']):
            for output in cell.get('outputs', []):
                text = ''.join(map(''.join, [output.get('text', ''), *(v for k, v in output.get('data', {}).items() if k != 'image/png')]))
                if output['output_type'] == 'error' or re.search(r'/(home|root|work|Users|tmp)/\w', text): found.append(f'{path.name}, cell {i}: {text[:100]}')
    return 'stored outputs are clean', not found, time.perf_counter() - start, '\n'.join(found)


def packages():
    "The wheel must install and work in a clean environment."
    code, out, seconds = run(sys.executable, 'tools/wheel_test.py')
    return 'tools/wheel_test.py', code == 0, seconds, out


def cuda_cells():
    "How many cells of each notebook are marked `cuda`."
    def count(p):
        return sum(bool(re.search(r'^#\|\s*cuda\s*$', ''.join(c['source']), re.M)) for c in json.loads(p.read_text())['cells'] if c['cell_type'] == 'code')
    return {p.name: n for p in NOTEBOOKS if (n := count(p))}


def record_gpu(results):
    "Leave the counts, and what they were measured on, in results/gpu_tests.json."
    import torch
    from ait_nb.train import git_commit, machine
    cells, passed = cuda_cells(), {name for name, ok, *_ in results if ok}
    record = dict(schema=1, kind='gpu_tests', cells=sum(cells.values()), notebooks={name: dict(cuda_cells=n, passed=name in passed) for name, n in cells.items()},
        passed=sum(ok for _, ok, *_ in results), failed=sum(not ok for _, ok, *_ in results), **machine(torch.device('cuda')), git=git_commit())
    (ROOT/'results'/'gpu_tests.json').write_text(json.dumps(record, indent=1) + '\n')


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--gpu', action='store_true', help='run the cells marked cuda as well')
    gpu = ap.parse_args().gpu
    if gpu:
        import torch
        if not torch.cuda.is_available(): sys.exit('test-gpu: PyTorch finds no GPU on this machine')
    FAULTS.unlink(missing_ok=True)
    modules = ['ait_nb', *sorted(f'ait_nb.{p.stem}' for p in (ROOT/'ait_nb').glob('*.py') if p.stem[0] != '_')]
    nbs = cuda_cells() if gpu else [p.name for p in NOTEBOOKS]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(imports, m) for m in modules] + [pool.submit(notebook, ROOT/'nbs'/p, gpu) for p in nbs]
        if not gpu: jobs.append(pool.submit(packages))
        results = [show(job.result()) for job in jobs]
    if not gpu:
        import lab_test # it needs what a browser speaks, which a GPU's machine need not have
        results.append(show(stored()))
        results += map(show, lab_test.results(NOTEBOOKS, min(8, os.cpu_count() or 1)))
        bin = Path(sys.executable).parent
        sources = lambda: [*(ROOT/'ait_nb').glob('*.py'), *(ROOT/'nbs').glob('*.ipynb'), *(ROOT/'nbs'/'images').glob('*'), ROOT/'README.md', ROOT/'pyproject.toml']
        for name, command in (('nbdev_export', [bin/'nbdev_export']), ('nbdev_clean', [bin/'nbdev_clean']), ('equation numbers', [sys.executable, 'tools/crossref.py']),
                ('make readme', [sys.executable, 'tools/readme.py']), ('make docs', [sys.executable, 'tools/docs.py'])):
            results.append(show(unchanged(name, command, sources), ' leaves no diff'))
        built = results[-1][1]
        if built is not False: results.append(show(browser() if built else ('browser test', None, 0., 'no site to read')))
    else: record_gpu(results)
    if FAULTS.exists(): print(FAULTS.read_text())
    failed, skipped = (sum(ok is what for _, ok, *_ in results) for what in (False, None))
    print(f'{len(results) - failed - skipped} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    sys.exit(failed > 0)


if __name__ == '__main__': main()
