"""convert_checkpoint.py: released files in, the same predictions out, and back."""
from pathlib import Path

import oracle
import pytest
import released
import released_models as models
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from cbsa_mm.checkpoints import read_checkpoint, write_checkpoint

ROOT = Path(__file__).parents[2]
VARIANT = '''\
net_kwargs:
  d_model: {d}
  image_size: !!python/tuple
  - {side}
  - {side}
  n_heads: {h}
  decoder: {{n_layers: {layers}}}
'''


def save_classifier(path, weights):
    """As the authors of each did."""
    if 'conv1.weight' in weights:
        return torch.save(weights, path)
    torch.save(dict(
        epoch=150, arch='CBT', best_acc1=torch.tensor(63.2), optimizer=dict(state={}),
        scheduler=dict(last_epoch=150),
        state_dict={f'module.{name}': tensor for name, tensor in weights.items()}), path)


def save_segmenter(path, weights, variant=''):
    torch.save(dict(model=weights, optimizer={}, n_cls=150, lr_scheduler={}, epoch=63), path)
    if variant:
        (path.parent / 'variant.yml').write_text(variant)


def build(config, checkpoint):
    """The model of a config with a checkpoint, loaded strictly."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    preprocessor = cfg.get('data_preprocessor', cfg.model.get('data_preprocessor'))
    model = MODELS.build(dict(cfg.model, data_preprocessor=preprocessor)).eval()
    load_checkpoint(model, str(checkpoint), strict=True)
    return model


@torch.no_grad()
@pytest.mark.parametrize('name', [
    'cbt_classifier', 'crate_original_classifier', 'crate_alpha_classifier',
    'tost_style_classifier'])
def test_golden_classifiers(name, run_tool, tmp_path):
    numbers, weights = released.read(name), released.weights(name)
    save_classifier(tmp_path / 'x.pth.tar', weights)
    heads = ['--num-heads', 3] if 'crate' in name else []
    run_tool('convert_checkpoint', 'x.pth.tar', 'cbt.pth', '--config', 'cbt.py', *heads)
    model = build('cbt.py', 'cbt.pth')
    features = model.extract_feat(numbers['input.image'])
    assert released.relative_error(model.head(features), numbers['output.logits']) < 1e-5

    run_tool('convert_checkpoint', 'cbt.pth', 'back.pth', '--to', 'official')
    given, back = (torch.load(file, weights_only=True) for file in ('x.pth.tar', 'back.pth'))
    assert released.equal(back.get('state_dict', back), given.get('state_dict', given))


@torch.no_grad()
@pytest.mark.parametrize('kind', ['sa', 'ca'])
def test_golden_depict_decoders(kind, run_tool, tmp_path):
    numbers, encoder = released.read(f'depict_{kind}_decoder'), models.make_vit(32, 1, 257)
    weights = {f'encoder.{k}': v for k, v in encoder.items()} | {
        f'decoder.{k}': v for k, v in released.pick(numbers, 'weight.').items()}
    save_segmenter(tmp_path / 'checkpoint.pth', weights)
    run_tool('convert_checkpoint', 'checkpoint.pth', 'depict.pth', '--config', 'depict.py',
             '--num-heads', 2)
    model = build('depict.py', 'depict.pth')
    features = numbers['input.tokens'].mT.unflatten(2, (16, 16))
    masks = model.decode_head([features])
    assert released.relative_error(masks, numbers['output.masks']) < 1e-5


@torch.no_grad()
def test_golden_segmenter(run_tool, tmp_path):
    numbers, weights = released.read('cbt_segmenter'), released.weights('cbt_segmenter')
    variant = VARIANT.format(d=32, side=256, h=2, layers=3)
    save_segmenter(tmp_path / 'checkpoint.pth', weights, variant)
    run_tool('convert_checkpoint', 'checkpoint.pth', 'cbt.pth', '--config', 'cbt.py')
    model = build('cbt.py', 'cbt.pth')
    logits = model.encode_decode(numbers['input.image'], [dict(img_shape=(256, 256))])
    assert released.relative_error(logits[..., ::8, ::8], numbers['output.logits']) < 1e-5

    (tmp_path / 'back').mkdir()
    run_tool('convert_checkpoint', 'cbt.pth', 'back/checkpoint.pth', '--to', 'official')
    back = torch.load('back/checkpoint.pth', weights_only=True)
    assert released.equal(back['model'], weights)
    assert (tmp_path / 'back/variant.yml').read_text() == variant


@torch.no_grad()
@pytest.mark.parametrize(
    'size', ['t', *(pytest.param(size, marks=pytest.mark.slow) for size in 'sbl')])
def test_full_sizes(size, run_tool, tmp_path, capsys):
    """Of the shipped configs, whose logits are those of a naive forward pass."""
    d, depth, h = dict(t=(192, 12, 3), s=(384, 12, 6), b=(768, 12, 12), l=(1024, 24, 16))[size]
    decoder_depth, side = dict(b=6, l=9).get(size, 3), dict(l=640).get(size, 512)
    weights = models.make_segmenter(d, depth, decoder_depth, side)
    save_classifier(tmp_path / 'in1k.pth', models.make_classifier(d, depth, h))
    save_segmenter(tmp_path / 'ade20k.pth', weights)
    built = {}
    for data in ('in1k', 'ade20k'):
        run_tool('convert_checkpoint', f'{data}.pth', 'cbt.pth')
        assert f'configs/cbt/cbt-{size}_{data}.py fits' in capsys.readouterr().out
        built[data] = build(ROOT / f'configs/cbt/cbt-{size}_{data}.py', 'cbt.pth')

    classifier, image = built['in1k'], torch.randn(1, 3, 224, 224)
    theirs = oracle.cbt(image, released.pick(classifier.state_dict(), 'backbone.'), h)
    logits = classifier.head(classifier.extract_feat(image))
    assert released.relative_error(logits, classifier.head.fc(theirs)) < 1e-5
    segmenter, image = built['ade20k'], torch.randn(1, 3, side, side)
    masks = segmenter.decode_head(segmenter.extract_feat(image))
    assert released.relative_error(masks, models.segment(weights, image, h)) < 1e-5


@torch.no_grad()
def test_distilled_segmenter(run_tool, tmp_path):
    weights = models.make_segmenter(192, 2, 2, side=96, classes=7, distilled=True)
    save_segmenter(tmp_path / 'checkpoint.pth', weights)
    run_tool('convert_checkpoint', 'checkpoint.pth', 'cbt.pth', '--config', 'cbt.py')
    model, image = build('cbt.py', 'cbt.pth'), torch.randn(1, 3, 96, 96)
    masks = model.decode_head(model.extract_feat(image))
    assert released.relative_error(masks, models.segment(weights, image, 3)) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize('name, library', [
    ('vit.safetensors', 'mmpretrain'), ('vit.npz', 'mmseg')])
def test_pretrained_vit(name, library, run_tool, tmp_path):
    """Against timm, which reads both files, too."""
    theirs = models.timm_vit(192, 2, 3, side=128)
    weights = models.make_augreg(192, 2, 3, 65) if name == 'vit.npz' else \
        models.make_vit(192, 2, 65)
    write_checkpoint(tmp_path / name, weights)
    if name == 'vit.npz':
        theirs.load_pretrained(name)
    else:
        theirs.load_state_dict(weights)
    run_tool('convert_checkpoint', name, 'encoder.pth', '--to', library, '--config', 'vit.py')
    cfg = Config.fromfile('vit.py')
    cfg.model.backbone.update(img_size=(128, 128), out_type='featmap')
    if library == 'mmpretrain':
        cfg.model.backbone.norm_cfg = dict(type='LN', eps=1e-5)
    init_default_scope(library)
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()  # loads the weights that the config names
    backbone.eval()
    image = torch.randn(1, 3, 128, 128)
    [ours] = backbone(image)
    expected = theirs.forward_features(image)[:, 1:]
    assert released.relative_error(ours.flatten(2).mT, expected) < 1e-5

    run_tool('convert_checkpoint', 'encoder.pth', f'back-{name}', '--to', 'official')
    assert released.equal(read_checkpoint(tmp_path / f'back-{name}'), weights)


def test_mmseg_loads_it_and_trains_from_it(run_tool, ade20k, tmp_path, capsys):
    from mmseg.apis import MMSegInferencer, init_model
    save_segmenter(tmp_path / 'checkpoint.pth', models.make_segmenter(192, 1, 1, side=160))
    run_tool('convert_checkpoint', 'checkpoint.pth', 'cbt.pth', '--config', 'cbt.py')
    weights = torch.load('cbt.pth', weights_only=True)['state_dict']
    for model in (init_model('cbt.py', 'cbt.pth', device='cpu'),
                  MMSegInferencer(None, 'cbt.pth', device='cpu').model):  # by the file's config
        assert released.equal(model.state_dict(), weights)
        assert len(model.dataset_meta['classes']) == 150
    output = capsys.readouterr().out
    assert not any(text in output for text in ('unexpected key', 'missing key', 'Could not safely'))

    run_tool('train', 'cbt.py', '--work-dir', 'work', '--cfg-options', 'load_from=cbt.pth',
             'train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'train_dataloader.num_workers=0',
             'val_dataloader.num_workers=0', *[f'{split}_dataloader.dataset.data_root={ade20k}'
                                               for split in ('train', 'val')],
             'default_hooks.checkpoint.save_best=None')
    run_tool('convert_checkpoint', 'work/iter_1.pth', 'trained.pth', '--to', 'official')
    trained = torch.load('trained.pth', weights_only=True)['model']
    assert trained['decoder.cls_emb'].shape == (1, 150, 192)


@pytest.mark.parametrize('arguments, message', [
    (['x.pth', 'y.safetensors'], 'DST must end with .pth, not .safetensors'),
    (['vit.pth', 'y.pth', '--config', 'y.py'], 'needs num_heads, .* give --num-heads'),
    (['run/segmenter.pth', 'y.pth'],
     'run/variant.yml belongs to another checkpoint: d_model is 32'),
    (['hostile/segmenter.pth', 'y.pth'], 'hostile/variant.yml cannot be read: could'),
    (['page.pth', 'y.pth'], 'page.pth is a web page'),
])
def test_mistakes_end_with_one_message(arguments, message, run_tool, tmp_path):
    save_classifier(tmp_path / 'x.pth', models.make_classifier(16, 1, 2, side=32))
    torch.save(models.make_vit(16, 1, 5), tmp_path / 'vit.pth')
    for name, variant in (('run', VARIANT.format(d=32, side=32, h=2, layers=1)),
                          ('hostile', 'net_kwargs: !!python/object/apply:os.mkdir [created.d]')):
        (tmp_path / name).mkdir()
        save_segmenter(tmp_path / f'{name}/segmenter.pth',
                       models.make_segmenter(16, 1, 1, side=32), variant)
    (tmp_path / 'page.pth').write_text('<!doctype html>')
    (tmp_path / 'y.pth').write_text('kept')
    files = {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
    with pytest.raises(SystemExit, match=f'^convert_checkpoint.py: error: .*{message}'):
        run_tool('convert_checkpoint', *arguments)
    assert {path: path.read_bytes() for path in tmp_path.rglob('*.*')} == files


def test_released_files_handed_to_other_tools(run_tool, tmp_path):
    save_classifier(tmp_path / 'x.pth', models.make_classifier(192, 1, 3))
    with pytest.raises(SystemExit, match='This is a CBT classifier in its released layout'):
        run_tool('test', ROOT / 'configs/cbt/cbt-t_shapes-cls.py', 'x.pth')
