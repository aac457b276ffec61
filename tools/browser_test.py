"""The site in _docs/, read in a real browser: Chromium without a window, on pages served from this machine.

    python tools/browser_test.py [--site _docs] [--shots FOLDER]

Exit status 0: every check passed; 1: some failed, and they are listed; 77: there is no browser here.
A further check is a function of `Site`, listed in CHECKS.
"""
import argparse, functools, http.server, os, re, sys, threading
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from playwright.sync_api import TimeoutError, sync_playwright

from browser_figures import landscape, picks
from machine import CHROMIUM, program

ROOT = Path(__file__).resolve().parent.parent
WIDE, PHONE = dict(width=1280, height=900), dict(width=390, height=844)
SOURCE = re.compile(r'/blob/main/(ait_nb/\w+\.py)#L(\d+)$')
# A term from the middle of a lesson, and the page that a search for it must put first.
TERMS = {'effective rank': 'memory', 'Ramsauer': 'hopfield', 'slot attention': 'bottleneck', 'Shazeer': 'balance', 'equilateral': 'triangle', 'move_priors': 'memory'}

# Text that a reader sees as raw TeX: mathematics outside of KaTeX and code.
RAW_TEX = r'''() => {
    const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT), found = [];
    for (let n; n = walk.nextNode();) {
        if (n.parentElement.closest('code, pre, script, style, .katex')) continue;
        if (/\$\$|\\\[|\\\(|\\[a-zA-Z]{2,}|\{#eq|@eq-/.test(n.data)) found.push(n.data.trim().slice(0, 60));
    }
    return found;
}'''
FACTS = '''() => ({
    ids: [...document.querySelectorAll('[id]')].map(e => e.id),
    links: [...document.querySelectorAll('a[href]')].map(a => a.href),
    images: [...document.querySelectorAll('img')].map(i => [i.src.slice(0, 60), (i.alt || '').trim(), i.naturalWidth]),
    drawings: [...document.querySelectorAll('main svg')].filter(s => !s.closest('.katex, [aria-hidden=true]')).map(s => (s.getAttribute('aria-label') || s.getAttribute('alt') || '').trim()),
    captions: [...document.querySelectorAll('main .cell-output img')].map(i => (i.closest('figure')?.querySelector('figcaption')?.innerText || '').trim()),
    math: [...document.querySelectorAll('.math')].map(m => !!m.querySelector('.katex-html') && !m.querySelector('.katex-error, [style*="rgb(204, 0, 0)"]')),
    tags: [...document.querySelectorAll('.katex-html .tag')].map(t => t.innerText.replace(/\\s/g, '')),
    labels: [...document.querySelectorAll('a[id^="eq-"]')].map(a => a.id),
    api: [...document.querySelectorAll('main a')].filter(a => a.innerText == 'source').map(a => [a.href, a.closest('.cell-output')?.querySelector('h2, h3, h4')?.id]),
    beside: [...document.querySelectorAll('.page-navigation a')].map(a => a.href),
})'''
# What lies beyond the right edge and cannot be scrolled to.
CUT_OFF = '''() => [...document.querySelectorAll('main *')].filter(e => {
    if (e.getBoundingClientRect().right <= innerWidth + 1 || !e.checkVisibility() || e.closest('.katex-mathml, .katex svg')) return false;
    for (let up = e.parentElement; up && up.tagName != 'MAIN'; up = up.parentElement) if (/auto|scroll/.test(getComputedStyle(up).overflowX)) return false;
    return true;
}).map(e => e.tagName + ' ' + e.className + ' ' + (e.innerText || '').slice(0, 40))'''
THEME = '''dark => {
    const [back, text] = [document.body, document.querySelector('main p')].map((e, i) => {
        const [r, g, b] = getComputedStyle(e)[i ? 'color' : 'backgroundColor'].match(/[\\d.]+/g).map(Number);
        return (.299*r + .587*g + .114*b)/255;
    });
    return dark ? back < .35 && text > .6 : back > .8 && text < .4;
}'''


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


class Site:
    "A served site, a browser, and what was checked."
    def __init__(self, folder, browser):
        self.folder, self.browser, self.counts, self.failed, self.facts = Path(folder), browser, Counter(), [], {}
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.base = f'http://127.0.0.1:{server.server_port}/'
        self.pages = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob('*.html') if 'site_libs' not in p.parts)

    def check(self, kind, ok, what):
        "Count a check of a kind; `what` names it if it fails."
        self.counts[kind] += 1
        if not ok: self.failed.append(f'{kind}: {what}')

    def open(self, name='index.html', viewport=WIDE, **context):
        "A page in a context of its own; any request beyond this machine and any word on the console is a failure."
        page = self.browser.new_context(viewport=viewport, **context).new_page()
        page.set_default_timeout(90_000) # on a busy machine
        at = lambda: page.url.removeprefix(self.base)
        page.on('request', lambda r: self.check('requests stay here', r.url.startswith((self.base, 'data:', 'blob:')), f'{at()} asks for {r.url[:120]}'))
        # A request that the browser itself drops, since its page is left, says nothing of the site.
        page.on('requestfailed', lambda r: r.failure == 'net::ERR_ABORTED' or self.check('requests succeed', False, f'{at()}: {r.url[:120]}'))
        page.on('response', lambda r: self.check('requests succeed', r.status < 400, f'{at()}: {r.status} {r.url[:120]}'))
        page.on('console', lambda m: m.type in ('error', 'warning') and self.check('console is silent', False, f'{at()}: {m.text[:160]}'))
        page.on('pageerror', lambda e: self.check('console is silent', False, f'{at()}: {str(e)[:160]}'))
        page.goto(self.base + name, wait_until='load')
        return page


def check_pages(site):
    "Every page: mathematics, pictures, width on a phone, no error on the console; then all links against all ids."
    page = site.open(site.pages[0])
    for name in site.pages:
        page.set_viewport_size(WIDE)
        page.goto(site.base + name, wait_until='load')
        facts = site.facts[name] = page.evaluate(FACTS)
        site.check('console is silent', True, name)
        for i, ok in enumerate(facts['math']): site.check('mathematics is typeset', ok, f'{name}: formula {i + 1}')
        raw = page.evaluate(RAW_TEX)
        site.check('no raw TeX', not raw, f'{name}: {raw[:3]}')
        for src, alt, width in facts['images']: site.check('pictures load and have alt text', alt and width, f'{name}: {src}')
        for alt in facts['drawings']: site.check('pictures load and have alt text', alt, f'{name}: a drawing')
        for caption in facts['captions']: site.check('figures have captions', caption, name)
        page.set_viewport_size(PHONE)
        width = page.evaluate('document.documentElement.scrollWidth')
        site.check('no horizontal scroll at 390 px', width <= PHONE['width'], f'{name} is {width} px wide')
        cut = page.evaluate(CUT_OFF)
        site.check('nothing is cut off at 390 px', not cut, f'{name}: {cut[:3]}')
    page.context.close()
    for path in (ROOT/'nbs').glob('*.ipynb'):
        name = re.sub(r'^\d+[a-z]*_', '', path.stem) + '.html'
        site.check('notebooks have pages', name in site.facts, f'{path.name} has no {name}')
    check_links(site)


def check_links(site):
    "Every link inside the site leads to a file, and to an id if it names one; every page but the first is linked to."
    reached = set()
    for name, facts in site.facts.items():
        for link in sorted(set(facts['links'])):
            if not link.startswith(site.base): continue
            url, fragment = urldefrag(link)
            target = unquote(url[len(site.base):]) or 'index.html'
            if target != name: reached.add(target)
            ok = (site.folder/target).is_file() and (not fragment or target not in site.facts or unquote(fragment) in site.facts[target]['ids'])
            site.check('links resolve', ok, f'{name} → {target}{"#" + fragment if fragment else ""}')
    for name in site.pages: site.check('pages are linked to', name in reached, name)


def check_lessons(site):
    "Equations have numbers and labels, API blocks lead to the lines of their source, pages to their neighbours."
    for name, facts in site.facts.items():
        site.check('equations are numbered once', len(facts['tags']) == len(facts['labels']) == len(set(facts['tags'])), f"{name}: {facts['tags']} for {facts['labels']}")
        for href, heading in facts['api']:
            match = SOURCE.search(href)
            line = (ROOT/match[1]).read_text().splitlines()[int(match[2]) - 1] if match else ''
            word = re.sub(r'-\d+$', '', (heading or '').split('.')[-1]) # a second heading of one name has a number behind
            site.check('API blocks show their source', word and re.search(rf'(class|def) {re.escape(word)}\b|^\s*@', line, re.I), f'{name}: {heading} → {href}: {line.strip()[:60]}')
        for label in facts['labels'][-1:]:
            page = site.open(f'{name}#{label}')
            try: ok = page.wait_for_function('id => document.getElementById(id).getBoundingClientRect().top < innerHeight', arg=label, timeout=10_000)
            except TimeoutError: ok = False
            site.check('equations can be linked to', ok, f'{name}#{label} is not in sight')
            page.context.close()
        site.check('previous and next', 1 <= len(facts['beside']) <= 2, f"{name}: {facts['beside']}")


def check_search(site):
    "A term from inside a lesson finds that lesson's page, and the first result leads to it."
    for term, stem in TERMS.items():
        page = site.open('index.html')
        box = page.locator('input[type=search]:visible, .smalldocs-search input:visible').first
        box.fill(term)
        hit = page.locator('.search-result').first
        hit.wait_for()
        hit.click()
        page.wait_for_load_state('load')
        landed = unquote(page.url[len(site.base):])
        site.check('search finds the page', landed.split('#')[0] == f'{stem}.html', f'{term!r} leads to {landed}')
        site.check('search finds the page', term.lower() in ' '.join(page.locator('main').inner_text().lower().split()), f'{term!r} is not in {landed}')
        page.context.close()


def check_files(site):
    "A page opened as a file has its mathematics and its search."
    page = site.browser.new_page(viewport=WIDE)
    page.goto((site.folder.resolve()/'hopfield.html').as_uri())
    site.check('opened as a file', page.locator('.katex-html').count() > 20, 'no mathematics')
    page.locator('.smalldocs-search input:visible').first.fill('effective rank')
    page.locator('.search-result, .search-none').first.wait_for(timeout=20_000)
    href = page.locator('.search-result').first.get_attribute('href') if page.locator('.search-result').count() else 'nothing'
    site.check('opened as a file', 'memory.html' in href, f'search finds {href}')
    page.close()


def check_themes(site):
    "Light and dark follow the system, the switch turns them over, and the choice is remembered on the next page."
    for scheme in ('light', 'dark'):
        page = site.open('index.html', color_scheme=scheme)
        def shows(dark, what):
            try: ok = page.wait_for_function(THEME, arg=dark, timeout=10_000)
            except TimeoutError: ok = False
            site.check('light and dark', ok, f'with a system that is {scheme}, {what}')
        shows(scheme == 'dark', 'the page is not')
        page.locator('.quarto-color-scheme-toggle:visible').first.click()
        shows(scheme == 'light', 'the switch does nothing')
        page.goto(site.base + site.pages[-1])
        shows(scheme == 'light', 'the choice is forgotten on the next page')
        page.context.close()


def check_phone(site):
    "On a phone the menu opens, with search in it, and equations scroll in their own box."
    page = site.open('hopfield.html', PHONE)
    page.locator('.navbar-toggler').click()
    page.locator('.smalldocs-search input:visible, input[type=search]:visible').first.wait_for()
    site.check('phone', True, 'menu')
    page.locator('.quarto-btn-toggle').first.click()
    site.check('phone', page.locator('#quarto-sidebar a:visible').count() > 5, 'the list of pages does not open')
    wide = page.evaluate("[...document.querySelectorAll('.math.display')].filter(e => e.scrollWidth > e.clientWidth).every(e => getComputedStyle(e).overflowX == 'auto')")
    site.check('phone', wide, 'a long equation cannot be scrolled')
    page.context.close()


def check_figures(site):
    "The interactive figures react, wide and on a phone."
    for viewport in (WIDE, PHONE):
        for figure in (landscape, picks):
            page, said = site.open(f'{figure.__name__}.html', viewport), ''
            try: figure(page)
            except AssertionError as error: said = str(error)
            site.check('interactive figures', not said, f"{figure.__name__} at {viewport['width']} pixels: {said}")
            page.context.close()


CHECKS = (check_pages, check_lessons, check_search, check_files, check_themes, check_phone, check_figures)


def shots(site, folder):
    "Pictures of some pages, to be looked at."
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in ('index', 'hopfield', 'cifar10', 'ait', 'landscape', 'picks'):
        for viewport, size in ((WIDE, 'wide'), (PHONE, 'phone')):
            for scheme in ('light', 'dark'):
                page = site.open(f'{name}.html', viewport, color_scheme=scheme)
                page.screenshot(path=Path(folder)/f'{name}-{size}-{scheme}.png', full_page=True)
                page.context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--site', default=ROOT/'_docs', type=Path, help='the folder of the site')
    parser.add_argument('--shots', help='leave pictures of some pages in this folder')
    args = parser.parse_args()
    if not (args.site/'index.html').exists(): sys.exit(f'browser test: {args.site} has no index.html: run make docs')
    chromium = program(*CHROMIUM, package='chromium')
    if chromium is None:
        print('browser test: skipped: no Chromium here (Debian: apt-get install chromium)')
        sys.exit(77)
    # Nothing but this machine has a name, so no page can reach out unseen.
    flags = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--disable-background-networking', *(['--no-sandbox'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        site = Site(args.site, playwright.chromium.launch(executable_path=chromium, args=flags))
        for check in CHECKS:
            try: check(site)
            except Exception as error: site.check(check.__name__, False, f'{type(error).__name__}: {str(error)[:500]}')
        if args.shots: shots(site, args.shots)
        site.browser.close()
    for kind, n in site.counts.items(): print(f'{n:6d}  {kind}')
    if site.failed: print('\n'.join(site.failed[:60]))
    print(f'browser test: {len(site.pages)} pages, {sum(site.counts.values()) - len(site.failed)} checks passed, {len(site.failed)} failed')
    sys.exit(bool(site.failed))


if __name__ == '__main__': main()
