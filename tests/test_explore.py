"""The explorer, as a person uses it: in a browser."""
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.datasets.shapes import SHAPES, render
from cbsa_mm.engine.model import build_model

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def browser():
    reason = 'the browser test needs gradio, selenium, chromium and chromedriver'
    pytest.importorskip('gradio', reason=reason)
    webdriver = pytest.importorskip('selenium.webdriver', reason=reason)
    chromium, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not (chromium and driver):
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage',
                     'window-size=1500,1300'):
        options.add_argument(f'--{argument}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def serve(tmp_path):
    """Serves the page for a model of random weights: ``serve(name of its config)`` to its address.
    """
    servers = []

    def start(name):
        torch.manual_seed(0)
        config = ROOT / f'configs/cbt/{name}.py'
        torch.save({'state_dict': build_model(Config.fromfile(config)).state_dict()},
                   tmp_path / 'model.pth')
        for i in range(2):
            Image.fromarray(render(0, i, 128, 4)[0]).save(tmp_path / f'{i}.png')
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        servers.append(subprocess.Popen(
            [sys.executable, ROOT / 'tools/explore.py', config, 'model.pth', '0.png', '1.png',
             '--port', str(port)], cwd=tmp_path))
        for _ in range(120):
            with socket.socket() as client:
                if client.connect_ex(('127.0.0.1', port)) == 0:
                    return f'http://127.0.0.1:{port}'
            assert servers[-1].poll() is None
            time.sleep(0.5)
        raise TimeoutError('the page is not served')

    yield start
    for server in servers:
        server.terminate()
        server.wait()


class Page:

    def __init__(self, browser, address):
        from selenium.webdriver.support.ui import WebDriverWait
        browser.get_log('browser')  # of the page before
        browser.get(address)
        self.browser, self.wait = browser, WebDriverWait(browser, 60)

    def find(self, selector, index=0):
        from selenium.webdriver.common.by import By
        return self.wait.until(lambda browser: browser.find_elements(
            By.CSS_SELECTOR, selector)[index:], selector)[0]

    def picture(self, name):
        return self.find(f'#{name} img').get_attribute('src')

    def changed(self, *names):
        """A context that ends when the pictures have changed."""
        return _Changed(self, names)

    def click(self, name, x, y):
        from selenium.webdriver import ActionChains
        picture = self.find(f'#{name} img')
        ActionChains(self.browser).move_to_element_with_offset(
            picture, int(x * picture.size['width']), int(y * picture.size['height'])
        ).click().perform()

    def errors(self):
        return [entry for entry in self.browser.get_log('browser') if entry['level'] == 'SEVERE']


class _Changed:

    def __init__(self, page, names):
        self.page, self.names = page, names

    def __enter__(self):
        self.before = [self.page.picture(name) for name in self.names]

    def __exit__(self, error, *_):
        if error is None:
            for name, before in zip(self.names, self.before):
                self.page.wait.until(lambda _, n=name, b=before: self.page.picture(n) != b, name)


@pytest.mark.parametrize('name', ['cbt-t_shapes', 'cbt-t_shapes-cls'])
def test_explorer(name, serve, browser):
    page = Page(browser, serve(name))
    everything = 'seen', 'row', 'coefficients', 'region'
    assert all(page.picture(picture) for picture in (*everything, 'regions'))
    classes = page.find('#predicted').text
    assert any(word in classes for word in ('background', *SHAPES))
    with page.changed(*everything):
        page.click('seen', 0.2, -0.3)
    with page.changed('region'):
        page.click('regions', -0.4, -0.4)
    with page.changed('region'):
        page.click('coefficients', 0.4, 0.4)
    with page.changed('row', 'coefficients', 'regions', 'region'):
        page.find('#layer input[type=range]').send_keys('\ue012')  # arrow to the left
    with page.changed('row', 'coefficients', 'regions', 'region'):
        page.find('#head input[type=range]').send_keys('\ue014')
    with page.changed(*everything, 'regions'):
        page.find('#gallery .thumbnail-item', 1).click()
    assert page.errors() == []
