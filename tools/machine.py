"""Programs that the site needs and Python's package index does not have.

    python3 tools/machine.py chromium npm     install what is missing, where apt-get can
"""
import os, shutil, subprocess, sys

ALONGSIDE = {'chromium': ('libatomic1',), 'g++': ('python3-dev',)} # Playwright's driver is linked to the one, torch.compile needs the other
CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')


def can_install(): return hasattr(os, 'geteuid') and os.geteuid() == 0 and shutil.which('apt-get') is not None


def install(*packages):
    "Install Debian's packages, quietly; whether that worked."
    env = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    apt = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300']
    commands = ([*apt, 'update'], [*apt, 'install', '-y', '--no-install-recommends', *packages])
    return all(subprocess.run(c, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0 for c in commands)


def program(*names, package):
    "The path of the first of some programs that is there, installed first where that is possible; None without it."
    find = lambda: next(filter(None, map(shutil.which, names)), None)
    if find() is None and can_install(): install(package, *ALONGSIDE.get(package, ()))
    return find()


def main():
    for package in sys.argv[1:]:
        found = program(*(CHROMIUM if package == 'chromium' else (package,)), package=package)
        print(f'{package}: {found or "not installed, and not to be had here"}')


if __name__ == '__main__': main()
