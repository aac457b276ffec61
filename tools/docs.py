"""The site in _docs/: by Quarto where it is installed, else by smalldocs over nbdev's processed notebooks.

    python tools/docs.py [--renderer auto|quarto|smalldocs]
"""
import argparse, json, os, re, shutil, subprocess, sys
from pathlib import Path

import yaml
from nbdev.config import get_config
from nbdev.doclinks import nbdev_export
from nbdev.quarto import nbdev_docs
from nbdev.serve import proc_nbs
from smalldocs.layout import KATEX

from machine import program

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77 # this machine lacks what is needed
KATEX_CDN = re.compile(r'https://cdn\.jsdelivr\.net/npm/katex@([\w.]+)/dist')
FIGURE = re.compile(r'^#\| label: *fig-', re.M)
CAPTION = re.compile(r'^(#\| fig-cap: *"?)', re.M)


def page_name(path):
    "The name nbdev gives the page of a notebook: 03_memory.ipynb becomes memory.ipynb."
    return re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.name)


def renamed(tree, names):
    "A YAML tree with notebook names replaced."
    if isinstance(tree, dict): return {k: renamed(v, names) for k, v in tree.items()}
    if isinstance(tree, list): return [renamed(v, names) for v in tree]
    return names.get(tree, tree) if isinstance(tree, str) else tree


def lines(text): return text.splitlines(True)


def linked(text, names, base):
    "Markdown whose links inside the site are relative and use the pages' names."
    for old, new in names.items(): text = text.replace(f']({old}', f']({new}')
    return text.replace(base, '')


def staged_config(config, names):
    "The site's configuration, less what smalldocs does not know."
    config = renamed(config, names)
    config['format']['html'].pop('html-math-method', None)
    return config


def staged_cells(cells, names, base):
    "Cells as smalldocs needs them: links relative, labelled figures numbered as Quarto numbers them."
    figures = 0
    for cell in cells:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown': source = linked(source, names, base)
        if cell['cell_type'] == 'raw': source = re.sub(r'^output-file:.*\n', '', source, flags=re.M)
        if FIGURE.search(source):
            figures += 1
            source = CAPTION.sub(rf'\g<1>Figure {figures}: ', source)
        cell['source'] = lines(source)
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            if 'text/markdown' in data:
                text = linked(''.join(data['text/markdown']), names, base)
                # Dunder names in headings would be read as bold.
                text = re.sub(r'^(#+ .*)$', lambda m: m[1] if '{#' in m[1] else m[1].replace('__', r'\_\_'), text, flags=re.M)
                data['text/markdown'] = lines(text)


def stage(processed, target):
    "Copy nbdev's processed notebooks under the names that nbdev's links use."
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(processed, target)
    names = {p.name: page_name(p) for p in target.glob('*.ipynb')}
    config = target/'_quarto.yml'
    config.write_text(yaml.safe_dump(staged_config(yaml.safe_load(config.read_text()), names), sort_keys=False))
    base = f'{get_config().doc_host}{get_config().doc_baseurl}/'
    for old, new in names.items():
        nb = json.loads((target/old).read_text())
        staged_cells(nb['cells'], names, base)
        (target/old).unlink()
        (target/new).write_text(json.dumps(nb, indent=1))


def katex():
    "The folder of KaTeX's files, from npm, fetched once."
    version, folder = KATEX_CDN.search(KATEX)[1], ROOT/'_katex'
    files, package = folder/'node_modules'/'katex'/'dist', folder/'node_modules'/'katex'/'package.json'
    if package.exists() and json.loads(package.read_text())['version'] == version: return files
    npm = program('npm', package='npm')
    if npm is None:
        print('docs: mathematics needs KaTeX from npm, which is not here: install npm (Debian: apt-get install npm)', file=sys.stderr)
        sys.exit(SKIPPED)
    done = subprocess.run([npm, 'install', '--silent', '--no-save', '--prefix', folder, f'katex@{version}'], capture_output=True, text=True)
    if done.returncode: sys.exit(f'docs: npm did not bring katex {version}: {(done.stdout + done.stderr).strip()[-500:]}')
    return files


def offline_mathematics(site):
    "Let pages take KaTeX from the site itself."
    files, target = katex(), site/'site_libs'/'katex'
    for name in ('katex.min.css', 'katex.min.js', 'contrib/auto-render.min.js'):
        (target/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files/name, target/name)
    shutil.copytree(files/'fonts', target/'fonts', ignore=shutil.ignore_patterns('*.ttf', '*.woff'), dirs_exist_ok=True)
    for page in site.rglob('*.html'):
        up = '../'*(len(page.relative_to(site).parts) - 1)
        page.write_text(KATEX_CDN.sub(up + 'site_libs/katex', page.read_text()))


def offline_fonts(site):
    "Themes ask a font server for a font; the reader's own fonts do."
    for css in site.rglob('*.css'):
        text = css.read_text()
        if 'fonts.googleapis' in text: css.write_text(re.sub(r'@import\s*(url\([^)]*\)|"[^"]*"|\'[^\']*\')\s*;', '', text))


def finish(site):
    "What smalldocs leaves open: equations link to themselves, search goes by words, and a page does not change from build to build."
    shutil.copy(ROOT/'tools'/'search.js', site/'site_libs'/'fuse'/'fuse.min.js')
    (site/'site_libs'/'fuse'/'index.js').write_text(f"window.searchIndex = {(site/'search.json').read_text()};\n") # for pages opened as files
    for page in site.glob('*.html'):
        page.write_text(re.sub(r'<a id="(eq-[\w-]+)"></a>', r'<a id="\1" class="eq-anchor" href="#\1" aria-label="Link to this equation"></a>', page.read_text()))
    sitemap = site/'sitemap.xml'
    if sitemap.exists(): sitemap.write_text(re.sub(r'\s*<lastmod>.*?</lastmod>', '', sitemap.read_text()))


def smalldocs(site):
    "Render nbdev's processed notebooks without Quarto."
    staged = ROOT/'_proc_small'
    katex() # before the work, since nothing comes of it without
    stage(proc_nbs(n_workers=2, force=True), staged)
    subprocess.run([sys.executable, '-m', 'smalldocs.cli', 'render', staged], check=True)
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(staged/'_docs', site)
    shutil.rmtree(staged)
    finish(site)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--renderer', default='auto', choices=('auto', 'quarto', 'smalldocs'))
    renderer, site = parser.parse_args().renderer, ROOT/'_docs'
    os.environ['PYTHONWARNINGS'] = 'ignore' # nbdev's workers warn of every cell that mixes imports with other code
    nbdev_export()
    if renderer == 'quarto' or (renderer == 'auto' and shutil.which('quarto')): nbdev_docs()
    else: smalldocs(site)
    offline_mathematics(site)
    offline_fonts(site)
    print(f'{len(list(site.glob("*.html")))} pages: {site.relative_to(ROOT)}/index.html')


if __name__ == '__main__': main()
