"""The site in _docs/: by Quarto where it is installed, else by smalldocs over nbdev's processed notebooks.

    python tools/docs.py [--renderer auto|quarto|smalldocs]
"""
import argparse, json, re, shutil, subprocess, sys
from pathlib import Path

import yaml
from nbdev.config import get_config
from nbdev.doclinks import nbdev_export
from nbdev.quarto import nbdev_docs
from nbdev.serve import proc_nbs

ROOT = Path(__file__).resolve().parent.parent
KATEX_CDN = re.compile(r'https://cdn\.jsdelivr\.net/npm/katex@([\d.]+)/dist')


def page_name(path):
    "The name nbdev gives the page of a notebook: 03_memory.ipynb becomes memory.ipynb."
    return re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.name)


def renamed(tree, names):
    "A YAML tree with notebook names replaced."
    if isinstance(tree, dict): return {k: renamed(v, names) for k, v in tree.items()}
    if isinstance(tree, list): return [renamed(v, names) for v in tree]
    return names.get(tree, tree) if isinstance(tree, str) else tree


def lines(text): return text.splitlines(True)


def stage(processed, target):
    "Copy nbdev's processed notebooks under the names that nbdev's links use, with links inside the site relative."
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(processed, target)
    names = {p.name: page_name(p) for p in target.glob('*.ipynb')}
    config = target/'_quarto.yml'
    config.write_text(yaml.safe_dump(renamed(yaml.safe_load(config.read_text()), names), sort_keys=False))
    base = f'{get_config().doc_host}{get_config().doc_baseurl}/'
    for old, new in names.items():
        nb = json.loads((target/old).read_text())
        for cell in nb['cells']:
            source = ''.join(cell['source'])
            if cell['cell_type'] == 'markdown':
                for a, b in names.items(): source = source.replace(f']({a}', f']({b}')
                cell['source'] = lines(source.replace(base, ''))
            for output in cell.get('outputs', []):
                data = output.get('data', {})
                if 'text/markdown' in data:
                    text = ''.join(data['text/markdown']).replace(base, '')
                    for a, b in names.items(): text = text.replace(f']({a}', f']({b}')
                    # Dunder names in headings would be read as bold.
                    text = re.sub(r'^(#+ .*)$', lambda m: m[1] if '{#' in m[1] else m[1].replace('__', r'\_\_'), text, flags=re.M)
                    data['text/markdown'] = lines(text)
        (target/old).unlink()
        (target/new).write_text(json.dumps(nb, indent=1))


def katex(version):
    "KaTeX's files, from npm; None without npm."
    if not shutil.which('npm'): return None
    folder = ROOT/'_katex'
    done = subprocess.run(['npm', 'install', '--silent', '--no-save', '--prefix', folder, f'katex@{version}'], capture_output=True, text=True)
    return folder/'node_modules'/'katex'/'dist' if done.returncode == 0 else None


def serve_katex(site):
    "Let pages take KaTeX from the site itself, so that mathematics shows offline."
    pages = [p for p in site.rglob('*.html') if KATEX_CDN.search(p.read_text())]
    if not pages: return
    files = katex(KATEX_CDN.search(pages[0].read_text())[1])
    if files is None: return print('docs: npm did not bring KaTeX; mathematics will be loaded from its CDN')
    shutil.copytree(files, site/'site_libs'/'katex', dirs_exist_ok=True)
    for page in pages:
        up = '../'*(len(page.relative_to(site).parts) - 1)
        page.write_text(KATEX_CDN.sub(up + 'site_libs/katex', page.read_text()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--renderer', default='auto', choices=('auto', 'quarto', 'smalldocs'))
    renderer = parser.parse_args().renderer
    nbdev_export()
    if renderer == 'quarto' or (renderer == 'auto' and shutil.which('quarto')): return nbdev_docs()
    staged, site = ROOT/'_proc_small', ROOT/'_docs'
    stage(proc_nbs(n_workers=2, force=True), staged)
    subprocess.run([sys.executable, '-m', 'smalldocs.cli', 'render', staged], check=True)
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(staged/'_docs', site)
    shutil.rmtree(staged)
    serve_katex(site)
    print(f'{len(list(site.glob("*.html")))} pages: {site.relative_to(ROOT)}/index.html')


if __name__ == '__main__': main()
