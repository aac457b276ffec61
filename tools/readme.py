"""README.md from nbs/index.ipynb and its stored outputs, without Quarto. Its pictures go to nbs/images."""
import base64, json, re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDE = re.compile(r'^#\|\s*(hide|default_exp|echo: *false)\b', re.M)
IMAGE = re.compile(r'\]\((?!https?://)(images/[^)]+)\)')


def shown(output, source):
    "A stored output as Markdown."
    data = output.get('data', {})
    kind = next((k for k in ('image/svg+xml', 'image/png') if k in data), None)
    if kind:
        label, alt = (re.search(rf'^#\| {key}: *"?(.*?)"?$', source, re.M)[1] for key in ('label', 'fig-alt'))
        name, content = f"{label}.{'png' if kind == 'image/png' else 'svg'}", ''.join(data[kind])
        (ROOT/'nbs'/'images').mkdir(exist_ok=True)
        (ROOT/'nbs'/'images'/name).write_bytes(base64.b64decode(content) if kind == 'image/png' else content.encode())
        return f'![{alt}](images/{name})'
    if 'text/markdown' in data: return ''.join(data['text/markdown'])
    text = ''.join(data.get('text/plain', output.get('text', '')))
    return '\n'.join('    ' + line for line in text.splitlines())


def part(cell):
    "A cell as Markdown; hidden cells leave their Markdown output alone."
    source = ''.join(cell['source']).strip()
    if cell['cell_type'] == 'markdown': return source
    outputs = [shown(o, source) for o in cell['outputs']]
    if re.search(r'^#\|\s*(hide|default_exp)\b', source, re.M): return ''
    return '\n\n'.join([*([] if HIDE.search(source) else [f'``` python\n{source}\n```']), *outputs])


def main():
    cells = json.loads((ROOT/'nbs'/'index.ipynb').read_text())['cells']
    text = '\n\n'.join(filter(None, map(part, cells)))
    text = IMAGE.sub(r'](nbs/\1)', text)
    text = re.sub(r'\]\((\d\d\w+\.ipynb)(?:#[\w-]+)?\)', r'](nbs/\1)', text) # a notebook on GitHub has no anchors
    dead = [link for link in re.findall(r'\]\((?!https?://|#)([^)\s]+)\)', text) if not (ROOT/link.split('#')[0]).exists()]
    if dead: raise SystemExit(f'README.md would link to what is not there: {", ".join(dead)}')
    (ROOT/'README.md').write_text('<!-- Made from nbs/index.ipynb by `make readme`; edit that. -->\n\n' + text + '\n')


if __name__ == '__main__': main()
