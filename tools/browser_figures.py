"""Do the interactive figures react? Each function takes a Playwright page that is open on the built page."""


def value(page, root, name): return page.locator(root).first.get_attribute(f'data-{name}')


def numbers(page, root, name): return [float(v) for v in value(page, root, name).split(',')]


def settle(page): page.evaluate('() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))')


def turn(page, slider, to):
    "Move an <input type=range> as a person would end up having moved it."
    slider.evaluate("(s, to) => { s.value = to; s.dispatchEvent(new Event('input', {bubbles: true})) }", to)
    settle(page)


def drag(page, handle, dx, dy):
    "Take the middle of an element and move it by dx, dy pixels with the mouse."
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box['x'] + box['width']/2, box['y'] + box['height']/2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in (1, 2, 3): page.mouse.move(x + dx*i/3, y + dy*i/3)
    page.mouse.up()
    settle(page)


def fits(page, root):
    "The figure is there and not wider than its window."
    box = page.locator(root).first.bounding_box()
    width = page.viewport_size['width']
    assert box['height'] > 200 and box['x'] >= 0 and box['x'] + box['width'] <= width + 1, f'{root}: {box} in a window {width} wide'
    inner = page.locator(root).first.evaluate('r => r.scrollWidth - r.clientWidth')
    assert inner <= 1, f'{root}: its contents stick out by {inner} pixels'


def falls(page): assert (e := numbers(page, '.landscape', 'energies')) == sorted(e, reverse=True), f'the energy rises: {e}'


def landscape(page):
    "Drag, keyboard, β, attractors and views of the landscape."
    root = page.locator('.landscape[data-mounted]').first
    root.wait_for()
    settle(page)
    fits(page, '.landscape')
    slider, state, first = root.locator('input[type=range]'), root.locator('.handle').last, root.locator('.handle').first
    assert value(page, '.landscape', 'kind') == 'metastable' and value(page, '.landscape', 'beta') == '2.5'
    falls(page)

    end, start = numbers(page, '.landscape', 'end'), numbers(page, '.landscape', 'state')
    drag(page, state, 120, -10)
    assert numbers(page, '.landscape', 'state')[0] > start[0] + 0.5, 'dragging does not move the state'
    assert abs(numbers(page, '.landscape', 'end')[0] - end[0]) > 1 and value(page, '.landscape', 'kind') == 'single', 'dragging does not change the end'
    falls(page)

    start = numbers(page, '.landscape', 'state')
    state.focus()
    for key in ('ArrowLeft', 'ArrowUp'): page.keyboard.press(key)
    settle(page)
    moved = numbers(page, '.landscape', 'state')
    assert abs(moved[0] - start[0] + .05) < 1e-5 and abs(moved[1] - start[1] - .05) < 1e-5, f'arrow keys: {start} to {moved}'

    kinds = {}
    for power in (-1, 0.4, 1.7):
        turn(page, slider, power)
        assert abs(float(value(page, '.landscape', 'beta')) - 10**power) < 1e-4
        kinds[power] = value(page, '.landscape', 'kind')
        falls(page)
    assert kinds[-1] == 'global average' and kinds[1.7] == 'single', kinds

    end = numbers(page, '.landscape', 'end')
    drag(page, first, -30, -20)
    assert numbers(page, '.landscape', 'end') != end, 'dragging an attractor does not move the end at it'

    pixels = lambda: root.locator('canvas').evaluate('c => c.toDataURL()')
    before = pixels()
    root.locator('select[name=view]').select_option('basins')
    settle(page)
    assert pixels() != before, 'the basins look like the energy'
    root.locator('select[name=set]').select_option('six on a ring')
    settle(page)
    assert root.locator('.handle').count() == 7
    root.locator('select[name=view]').select_option('energy')
    root.locator('select[name=set]').select_option('four, two of them close')
    turn(page, slider, 0.4)


def picks(page):
    "Run, image, block and slot of the picks; what is highlighted is what the attributes say."
    root = page.locator('.picks[data-mounted]').first
    root.wait_for()
    fits(page, '.picks')
    slider = root.locator('input[type=range]')

    def state():
        marked = root.locator('.panels svg').first.locator('rect[stroke-width="1"]').count()
        found = {name: value(page, '.picks', name) for name in ('run', 'image', 'layer', 'slot', 'picked', 'patches')}
        assert int(found['picked']) == marked == len([p for p in found['patches'].split(',') if p]), f'{found}: {marked} patches are highlighted'
        return found

    assert root.locator('.images image').count() == 8, 'the pictures of Triangle are missing'
    root.locator('select[name=run]').select_option(label='cifar10-ait_small-paper-s0')
    first = state()
    assert first['run'] == 'cifar10-ait_small-paper-s0' and int(first['picked']) > 0

    seen = set()
    for slot in (0, 3, 31):
        turn(page, slider, slot)
        seen.add(state()['patches'])
        assert value(page, '.picks', 'slot') == str(slot)
    assert len(seen) == 3, 'the slot does not change the highlighted patches'

    before = state()
    root.locator('.images button').nth(4).click()
    assert state()['image'] == '4' and state()['patches'] != before['patches'], 'the image does not change the highlighted patches'
    before = state()
    root.locator('select[name=layer]').select_option('1')
    assert state()['layer'] == '1' and state()['patches'] != before['patches'], 'the block does not change the highlighted patches'

    slider.focus()
    page.keyboard.press('ArrowLeft')
    assert state()['slot'] == '30', 'the arrow keys do not choose a slot'
    turn(page, slider, -1)
    assert int(state()['picked']) > 32, 'all slots together pick less than half of the patches'
    root.locator('select[name=run]').select_option(index=0)
    turn(page, slider, 0)
