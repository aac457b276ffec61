"""The packages: built from the sources, installed where nothing of this checkout is seen, and used there.

    python tools/wheel_test.py [DIST]

Builds an sdist, and the wheel from that sdist, into DIST (default: a temporary folder). The clean environment borrows the
dependencies of the one that runs this, so that PyTorch need not be installed once more. There the README's first lines run,
every command says its --help, and mypy checks a program of a user's own.
"""
import os, re, subprocess, sys, tarfile, tempfile, venv, zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER = '''
import torch
from torch import Tensor, nn
from ait_nb.ait import AiT, AiTConfig, ait_small
from ait_nb.workspace import GlobalWorkspace

class Mine(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.workspace = nn.LayerNorm(width), GlobalWorkspace(width, slots=8, bottleneck=16)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        out = self.workspace(self.norm(x), mask)
        return out.tokens, out.balance

def top(model: AiT, images: Tensor) -> list[int]:
    return model(images).logits.argmax(1).tolist()

model = ait_small(num_classes=10)
slots: int = model.config.slots
again: AiT = AiT.from_pretrained('folder')
own = AiT(AiTConfig(image_size=48, patch_size=8, channels=1, num_classes=3))
print(top(own, torch.rand(2, 1, 48, 48)), Mine(16)(torch.rand(2, 3, 16)))
'''
MISTAKES = {"model(torch.rand(1, 3, 32, 32)).logit": '"logit"', "AiTConfig(slots='many')": '"str"', "model.config.slotz": '"slotz"'}


def run(*command, cwd, **env):
    "Run a command away from this checkout; what it says, or the end of the test."
    clean = {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, env={**clean, **env})
    if done.returncode: sys.exit(f"wheel_test: {' '.join(str(c) for c in command[:4])} … ended with {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def build(dist):
    "An sdist, and a wheel from it."
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', dist, ROOT, cwd=dist)
    (wheel,), (sdist,) = dist.glob('*.whl'), dist.glob('*.tar.gz')
    return wheel, sdist


def check_contents(wheel, sdist):
    "All modules, the mark of types and the licence are there, and nothing that does not belong."
    modules = {f'ait_nb/{p.name}' for p in (ROOT/'ait_nb').glob('*.py')} | {'ait_nb/py.typed'}
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in n}
    if inside != modules: sys.exit(f"wheel_test: {wheel.name} differs from the package in {sorted(inside ^ modules)}")
    packed = {n.partition('/')[2] for n in tarfile.open(sdist).getnames()}
    missing = modules | {'settings.ini', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'CHANGELOG.md', 'CITATION.cff'}
    if missing - packed: sys.exit(f"wheel_test: {sdist.name} lacks {sorted(missing - packed)}")


def check_requirements():
    "What the package imports, settings.ini asks for; the borrowed environment has more, so nobody else would notice."
    cp = ConfigParser(delimiters=['='])
    cp.read(ROOT/'settings.ini')
    asked, of = {re.split(r'[<>=]', r)[0] for r in cp['DEFAULT']['requirements'].split()}, packages_distributions()
    code = '\n'.join(p.read_text() for p in (ROOT/'ait_nb').glob('*.py'))
    used = {m.group(1) for m in re.finditer(r'^(?:import|from) (\w+)', code, re.M)} - sys.stdlib_module_names - {'ait_nb'}
    lacking = {name for name in used if not asked & {d.lower() for d in of.get(name, ())}}
    if lacking: sys.exit(f"wheel_test: settings.ini does not ask for {sorted(lacking)}, which the package imports")


def install(wheel, folder):
    "A new environment with the wheel in it; other packages are those of the environment that runs this."
    venv.create(folder, with_pip=False)
    python = folder/('Scripts' if os.name == 'nt' else 'bin')/'python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps', '--no-index', wheel, cwd=folder)
    site = Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))', cwd=folder).strip())
    own = next(p for p in map(Path, sys.path) if (p/'torch').is_dir())
    (site/'borrowed.pth').write_text(f'{own}\n') # its own .pth files, such as an editable install's, are not read
    return python


def check_use(python, folder):
    "The README's lines run, the commands answer, a user's program has the types it says."
    where, version = run(python, '-c', 'import ait_nb; print(ait_nb.__file__, ait_nb.__version__)', cwd=folder).split()
    if not Path(where).is_relative_to(folder): sys.exit(f"wheel_test: ait_nb comes from {where}, not from the wheel")
    blocks = re.findall(r'^``` python\n(.*?)^```', (ROOT/'README.md').read_text(), re.M | re.S)
    if not any('ait_small' in b for b in blocks): sys.exit("wheel_test: README.md has no lines to run")
    (folder/'readme_lines.py').write_text('\n'.join(blocks))
    run(python, '-W', 'ignore', 'readme_lines.py', cwd=folder)
    cp = ConfigParser(delimiters=['='])
    cp.read(ROOT/'settings.ini')
    commands = [c.partition('=')[0] for c in cp['DEFAULT']['console_scripts'].split()]
    for name in commands: run(python.parent/name, '--help', cwd=folder)
    return version, len(blocks), len(commands)


def check_types(python, folder):
    "mypy accepts a user's program, and finds the mistakes in another."
    (folder/'user.py').write_text(USER)
    (folder/'wrong.py').write_text(USER + '\n'.join(MISTAKES))
    mypy = [sys.executable, '-m', 'mypy', '--python-executable', python, '--cache-dir', folder/'.mypy_cache']
    run(*mypy, '--strict', 'user.py', cwd=folder)
    said = subprocess.run([str(c) for c in (*mypy, 'wrong.py')], cwd=folder, capture_output=True, text=True).stdout
    missed = [code for code, word in MISTAKES.items() if word not in said]
    if missed: sys.exit(f"wheel_test: mypy does not see what is wrong with {missed}\n{said}")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        dist = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else folder/'dist'
        dist.mkdir(parents=True, exist_ok=True)
        wheel, sdist = build(dist)
        check_contents(wheel, sdist)
        check_requirements()
        clean = folder/'clean'
        python = install(wheel, clean)
        version, blocks, commands = check_use(python, clean)
        check_types(python, clean)
        print(f"{wheel.name} and {sdist.name} ({version}): {blocks} blocks of the README, {commands} commands, {len(MISTAKES)} mistakes found by mypy")


if __name__ == '__main__': main()
