"""The explorer and the pages that it saves, as a person uses them: in a browser."""
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from tempfile import gettempdir
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch
from PIL import Image
from tool_process import ROOT, serving

from cbsa_mm.arguments import DEMOS
from cbsa_mm.datasets.shapes import render
from cbsa_mm.engine import load_config
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, predict, read_image
from cbsa_mm.interpret import Recorder, attention_maps, patch_index
from cbsa_mm.interpret.page import describe_model, fit

SEGMENTER, CLASSIFIER = (ROOT / f'configs/cbt/{name}.py'
                         for name in ('cbt-t_shapes', 'cbt-t_shapes-cls'))


@pytest.fixture(scope='module')
def browser():
    reason = 'the browser test needs selenium, chromium and chromedriver'
    webdriver = pytest.importorskip('selenium.webdriver', reason=reason)
    chromium, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not (chromium and driver):
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage',
                     'window-size=1500,1600'):
        options.add_argument(f'--{argument}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def offline(browser):
    """The browser without a network."""

    def switch(offline):
        browser.execute_cdp_cmd('Network.emulateNetworkConditions', dict(
            offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1))

    browser.execute_cdp_cmd('Network.enable', {})
    switch(True)
    yield browser
    switch(False)


class Page:

    def __init__(self, browser, address):
        from selenium.webdriver.support.ui import WebDriverWait
        browser.get(address)
        self.browser, self.wait = browser, WebDriverWait(browser, 60)
        self.until('return data.images.length && models().every(model => model.shown)')

    def until(self, script):
        self.wait.until(lambda browser: browser.execute_script(script), script)

    def find(self, selector, index=0):
        return self.wait.until(lambda browser: browser.find_elements(
            'css selector', selector)[index:], selector)[0]

    def picture(self, name):
        return self.browser.execute_script(
            f"return document.querySelector('.{name} canvas').toDataURL()")

    @contextmanager
    def changed(self, *names):
        """A context that ends when the pictures have changed."""
        before = {name: self.picture(name) for name in names}
        yield
        for name, picture in before.items():
            self.wait.until(lambda _: self.picture(name) != picture, name)  # noqa: B023

    def click(self, name, x, y):
        """Clicks into a picture, by fractions of its width and height from its centre."""
        from selenium.webdriver import ActionChains
        picture = self.find(f'.{name} canvas')
        ActionChains(self.browser).move_to_element_with_offset(
            picture, int(x * picture.size['width']), int(y * picture.size['height'])
        ).click().perform()

    def errors(self):
        return [entry for entry in self.browser.get_log('browser') if entry['level'] == 'SEVERE']


@pytest.fixture
def images(tmp_path):
    for i in range(2):
        Image.fromarray(render(0, i, 128, 4)[0]).save(tmp_path / f'{i}.png')
    return tmp_path / '0.png', tmp_path / '1.png'


def send(address, content, **headers):
    """Opens an image as the page does: the answer, or the status of the refusal and its reason."""
    try:
        with urlopen(Request(f'{address}/open', content, headers)) as reply:
            return json.load(reply)
    except HTTPError as error:
        return error.code, error.read().decode()


def test_page_and_images_from_it_alone_bounded_and_deleted(images, tmp_path):
    file = images[0].read_bytes()
    with serving('explore', SEGMENTER, 'none', log=tmp_path / 'log', cwd=tmp_path) as address:
        with urlopen(address) as page:
            assert 'Inside cbt-t_shapes' in page.read().decode()
        for headers in (dict(Host='site.example:7860'), dict(Origin='http://site.example'),
                        dict(Origin='null')):
            assert send(address, file, **headers)[0] == 403
        assert send(address, b'x', **{'Content-Length': str(2**25 + 1)})[0] == 413
        assert send(address, b'x', **{'X-Name': 'a%3Cb.png'}) == (400, 'a<b.png is no image file')
        opened = send(address, file, Origin=address, **{'X-Name': 'a.png'})
        assert opened['name'] == 'a.png' and len(opened['models'][0]['layers']) == 6
        assert [*Path(gettempdir()).glob('explore-*/*')] == []


def test_images_of_too_many_pixels(run_tool, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)  # the tool sets it, for this process
    Image.new('1', (8000, 4000)).save(tmp_path / 'a.png')  # of 4 KB
    with pytest.raises(SystemExit, match='image a.png has more than 16,777,216 pixels'):
        run_tool('explore', SEGMENTER, 'none', 'a.png')


def test_inputs_of_too_many_pixels(tmp_path):
    open_image = run_path(ROOT / 'tools/analysis_tools/explore.py')['open_image']
    cfg = load_config(SEGMENTER)
    Image.new('RGB', (2048, 1032)).save(tmp_path / 'a.png')
    with pytest.raises(UserError, match='the model would see 1032 x 2048 pixels, more than 2,097'):
        open_image([(cfg, load_model(cfg, 'none'))], tmp_path / 'a.png', 'a.png', 2**20)


def test_what_is_too_large_for_a_page_loses_layers_but_the_last(images):
    cfg = load_config(CLASSIFIER)
    model = load_model(cfg, 'none')
    inputs, image = read_image(cfg, model, images[0])
    with Recorder(model) as recorder:
        logits = predict(model, inputs)
    described = [describe_model('a</script>', image, recorder.layers, logits, list('abcde'))]
    size = len(json.dumps(described))
    assert fit(described, size) == described
    [fewer] = fit(described, size - 1)
    assert fewer['layers'] == described[0]['layers'][1::2]
    [one] = fit(described, 0)
    assert one['layers'] == described[0]['layers'][-1:]


@pytest.mark.slow
@pytest.mark.parametrize('attention', [None, 'MSSA', 'AgentAttention', 'TSSA'])
def test_a_saved_page_shows_what_attention_map_computes(attention, run_tool, offline, images,
                                                        tmp_path):
    page, config, checkpoint = tmp_path / 'page.html', tmp_path / 'config.py', 'none'
    if attention is None:  # trained
        config, checkpoint = DEMOS['demo']
    else:
        config.write_text(f"_base_ = '{CLASSIFIER}'\nmodel = dict("
                          f"backbone=dict(attn_cfg=dict(type='{attention}')))")
    run_tool('explore', config, checkpoint, *images, '--save', page)
    page = Page(offline, page.as_uri())
    page.click('seen', 0.2, -0.3)
    page.until('return state.place[1] > 0.6 && models()[0].shown.place === state.place')
    place, shown = page.browser.execute_script("""
        const {rows, shares, region} = models()[0].shown;
        return [state.place, [rows, shares, region].map(x => JSON.stringify(x, (key, value) =>
            ArrayBuffer.isView(value) ? Array.from(value) : value))]""")
    rows, shares, region = (torch.tensor(x) if x else None for x in map(json.loads, shown))

    cfg = load_config(str(config))
    model = load_model(cfg, checkpoint)
    with Recorder(model) as recorder:
        predict(model, read_image(cfg, model, images[0])[0])
    layer = recorder.layers[-1]
    token = patch_index(layer, *place)
    expected = attention_maps(layer, [token])[0, :, 0].flatten(1)
    assert ((rows - expected).norm(dim=1) < 0.01 * expected.norm(dim=1)).all()
    A = layer.trace.coefficients
    if A is None:
        assert shares is None and region is None
    else:
        first = layer.num_extra_tokens
        assert torch.allclose(shares, A[0, 0, :, token], rtol=0.01)
        assert torch.allclose(region, A[0, 0, shares.argmax(), first:first + len(region)], 0.01)
    assert page.errors() == []


@pytest.mark.slow
def test_explorer(browser, images, tmp_path):
    with serving('explore', SEGMENTER, 'none', CLASSIFIER, 'none', images[0], log=tmp_path / 'log',
                 cwd=tmp_path) as address:
        page, everything = Page(browser, address), ('seen', 'row', 'coefficients', 'region')
        assert 'background' in page.find('.legend').text and '%' in page.find('#models').text
        with page.changed(*everything):
            page.click('seen', 0.2, -0.3)
        with page.changed('seen', 'row'):
            page.find('.seen canvas').send_keys('\ue014')  # arrow to the right
        for picture, place in (('regions', -0.35), ('coefficients', 0.35)):  # two representatives
            with page.changed('region'):
                page.click(picture, place, place)
        with page.changed('row', 'coefficients', 'regions', 'region'):
            page.find('#layer').send_keys('\ue012')  # arrow to the left
        with page.changed('row', 'coefficients', 'regions', 'region'):
            page.find('.heads button', 2).click()
        assert page.find('#head').get_attribute('value') == '2'
        with page.changed('row'):
            page.find('#token option[value="class disk"]').click()
        before = page.find('#layer').get_attribute('value')
        page.find('#play').click()
        page.until(f'return document.getElementById("layer").value !== "{before}"')
        (tmp_path / 'large.png').write_bytes(bytes(2**25 + 1))
        page.find('#open input').send_keys(str(tmp_path / 'large.png'))
        assert page.find('#error').text == 'large.png has more than 33,554,432 bytes'
        with page.changed('seen'):
            page.find('#open input').send_keys(str(images[1]))
        assert page.find('#images button', 1).get_attribute('aria-pressed') == 'true'
        assert page.errors() == []

