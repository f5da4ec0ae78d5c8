"""The explorer, also as a person uses it: in a browser."""
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from PIL import Image
from tool_process import ROOT, serving

from cbsa_mm.datasets.shapes import SHAPES, render
from cbsa_mm.engine import load_config
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model


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


class Page:

    def __init__(self, browser, address):
        from selenium.webdriver.support.ui import WebDriverWait
        browser.get(address)
        self.browser, self.wait = browser, WebDriverWait(browser, 60)

    def find(self, selector, index=0):
        return self.wait.until(lambda browser: browser.find_elements(
            'css selector', selector)[index:], selector)[0]

    def picture(self, name):
        return self.find(f'#{name} img').get_attribute('src')

    @contextmanager
    def changed(self, *names):
        """A context that ends when the pictures have changed."""
        before = {name: self.picture(name) for name in names}
        yield
        for name, picture in before.items():
            self.wait.until(lambda _: self.picture(name) != picture, name)  # noqa: B023

    def click(self, name, x, y):
        from selenium.webdriver import ActionChains
        picture = self.find(f'#{name} img')
        ActionChains(self.browser).move_to_element_with_offset(
            picture, int(x * picture.size['width']), int(y * picture.size['height'])
        ).click().perform()


@pytest.fixture
def serve(tmp_path):
    """Serves the page for a model of random weights: a context, ``serve(name of its config)``."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    for i in range(2):
        Image.fromarray(render(0, i, 128, 4)[0]).save(tmp_path / f'{i}.png')
    return lambda name: serving('explore', ROOT / f'configs/cbt/{name}.py', 'none', '0.png',
                                '1.png', log=tmp_path / 'log', cwd=tmp_path)


def upload(address, content, **headers):
    """Uploads as the page does: the file's path on the server, or the status of the refusal."""
    body = (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
            + content + b'\r\n--x--\r\n')
    headers = {'Content-Type': 'multipart/form-data; boundary=x', **headers}
    try:
        with urlopen(Request(f'{address}/gradio_api/upload', body, headers)) as reply:
            return Path(json.load(reply)[0])
    except HTTPError as error:
        return error.code


def test_page_and_uploads_to_it_alone_bounded_and_deleted(serve):
    with serve('cbt-t_shapes') as address:
        with urlopen(address) as page:
            assert 'Inside cbt-t_shapes' in page.read().decode()
        assert upload(address, b'x', Host='site.example:7860') == 403
        assert upload(address, b'x', Origin='http://site.example') == 403
        assert upload(address, b'x', Origin='null') == 403
        assert upload(address, bytes(2**25 + 1)) == 413
        file = upload(address, b'x', Origin=address)
        assert file.read_bytes() == b'x'
    assert not file.exists()


def test_images_of_too_many_pixels(run_tool, tmp_path, monkeypatch):
    pytest.importorskip('gradio', reason='gradio is not installed')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)  # the tool sets it, for this process
    Image.new('1', (8000, 4000)).save(tmp_path / 'a.png')  # of 4 KB
    with pytest.raises(SystemExit, match='image a.png has more than 16,777,216 pixels'):
        run_tool('explore', ROOT / 'configs/cbt/cbt-t_shapes.py', 'none', 'a.png')


def test_inputs_of_too_many_pixels(tmp_path):
    open_image = run_path(ROOT / 'tools/analysis_tools/explore.py')['open_image']
    cfg = load_config(ROOT / 'configs/cbt/cbt-t_shapes.py')
    Image.new('RGB', (2048, 1032)).save(tmp_path / 'a.png')
    with pytest.raises(UserError, match='the model would see 1032 x 2048 pixels, more than 2,097'):
        open_image(cfg, load_model(cfg, 'none'), tmp_path / 'a.png')


def test_predictions_let_the_image_through():
    tool = run_path(str(ROOT / 'tools/analysis_tools/explore.py'))
    opened = tool['Opened'](np.zeros((4, 4, 3), np.uint8), [], torch.eye(2)[None, :, None])
    _, regions = tool['show_prediction'](opened, ['background', 'disk'])
    assert [name for _, name in regions] == ['background', 'disk']
    assert np.array_equal(sum(mask for mask, _ in regions), np.full((4, 4), 0.5))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cbt-t_shapes', 'cbt-t_shapes-cls'])
def test_explorer(name, serve, browser):
    with serve(name) as address:
        page, everything = Page(browser, address), ('seen', 'row', 'coefficients', 'region')
        page.wait.until(lambda _: any(word in page.find('#predicted').text
                                      for word in ('background', *SHAPES)), 'the classes')
        with page.changed(*everything):
            page.click('seen', 0.2, -0.3)
        for picture, place in (('regions', -0.35), ('coefficients', 0.35)):  # two representatives
            with page.changed('region'):
                page.click(picture, place, place)
        with page.changed('row', 'coefficients', 'regions', 'region'):
            page.find('#layer input[type=range]').send_keys('\ue012')  # arrow to the left
        with page.changed('row', 'coefficients', 'regions', 'region'):
            page.click('heads', 0.4, 0.3)  # the last
        assert page.find('#head input[type=range]').get_attribute('value') == '2'
        with page.changed(*everything, 'regions'):
            page.find('#gallery .thumbnail-item', 1).click()
        assert not [entry for entry in browser.get_log('browser') if entry['level'] == 'SEVERE'
                    and address in entry['message']]  # not of the last page, whose server ended
